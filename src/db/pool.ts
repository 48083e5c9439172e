import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Payloads } from './payloads.ts';

type WithPayloads = { payloads?: Payloads | undefined };
export type Pool = pg.Pool & WithPayloads;
export type Client = pg.PoolClient & WithPayloads;
/** Where a statement may run: the pool, or one connection inside a transaction. */
export type Queryable = Pick<pg.Pool, 'query'> & WithPayloads;

type PoolOptions = WithPayloads & {
  databaseUrl: string;
  maxConnections: number;
  onError: (error: Error) => void;
};

/** Settings of every session, in place of those of the database or the role. Each as `current_setting` shows it. */
export const sessionSettings = {
  // Hours begin in UTC, and pg parses times of this style.
  timezone: 'UTC',
  datestyle: 'ISO, MDY',
  // Releases the locks of a process that hangs.
  idle_in_transaction_session_timeout: '1min',
  // Every frequent statement starts from ids or from the beginning of an index. PostgreSQL caches plans of prepared statements: a
  // plan made while a table was small would read the whole table until it is analyzed. So such plans are ruled out where there is
  // another one. (Before PostgreSQL 18, a plan that is ruled out has so high a cost that JIT would compile it.)
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
} as const;

/** A pool with limits for every wait: 5 s for a connection, 30 s for a statement. */
export function createPool({ databaseUrl, maxConnections, onError, payloads }: PoolOptions): Pool {
  const pool: Pool = new pg.Pool({
    ...connectionOptions(databaseUrl),
    max: maxConnections,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30_000,
    statement_timeout: 30_000,
    query_timeout: 35_000,
    application_name: 'fltr-webhooks',
  });
  // Without a listener, an idle connection that PostgreSQL closes would end the process.
  pool.on('error', (error) => {
    // After the pool's end its connections are still closing, while PostgreSQL may be stopping too.
    if (!pool.ending) onError(error);
  });
  // The same for a connection in use: the pool listens to idle ones only. Its next statement fails.
  pool.on('connect', (client: Client) => {
    client.on('error', () => undefined);
    client.payloads = payloads;
  });
  pool.payloads = payloads;
  // A statement on the pool is a transaction by itself, so it can be repeated after a conflict.
  const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<pg.QueryResult>;
  pool.query = ((...args: unknown[]) => repeatOnConflict(() => query(...args))) as typeof pool.query;
  return pool;
}

/** Of every connection. */
export const connectionOptions = (databaseUrl: string) => ({
  ...withSessionSettings(databaseUrl),
  keepAlive: true,
});

/** Options in the URL would replace ours, so both are sent. Ours come last, so they win. */
function withSessionSettings(databaseUrl: string): { connectionString: string; options: string } {
  const [address = '', query = ''] = databaseUrl.split('?', 2);
  const parameters = new URLSearchParams(query);
  const given = parameters.get('options');
  parameters.delete('options');
  const own = Object.entries(sessionSettings).map(
    ([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`,
  );
  return {
    connectionString: given === null ? databaseUrl : `${address}?${parameters.toString()}`,
    options: [...(given === null ? [] : [given]), ...own].join(' '),
  };
}

/** The row of a statement that always returns one. */
export function onlyRow<Row>(rows: readonly Row[], statement: string): Row {
  const [row] = rows;
  if (!row) throw new Error(`${statement} returned no row`);
  return row;
}

/**
 * Runs `run` in a transaction. After a deadlock or a serialization failure it runs again, so it must have no effects outside
 * of the transaction that a second run would repeat.
 */
export function withTransaction<T>(pool: Pool, run: (client: Client) => Promise<T>): Promise<T> {
  return repeatOnConflict(() => runTransaction(pool, run));
}

/** Runs several reads that see the database as of one moment. */
export function withSnapshot<T>(pool: Pool, run: (client: Client) => Promise<T>): Promise<T> {
  return withTransaction(pool, async (client) => {
    await client.query('set transaction isolation level repeatable read, read only');
    return run(client);
  });
}

async function runTransaction<T>(pool: Pool, run: (client: Client) => Promise<T>): Promise<T> {
  const client: Client = await pool.connect();
  try {
    await client.query('begin');
    const result = await run(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (error) {
    // A connection that lost its server, or whose session is read-only, is of no use to the next caller.
    client.release(isDatabaseUnavailable(error) || (await hasNotRolledBack(client)));
    throw error;
  }
}

async function hasNotRolledBack(client: Client): Promise<boolean> {
  try {
    await client.query('rollback');
    return false;
  } catch {
    return true;
  }
}

const mostRuns = 5;

/** After a conflict PostgreSQL has rolled everything back, and a second run usually succeeds. */
async function repeatOnConflict<T>(run: () => Promise<T>): Promise<T> {
  for (let runs = 1; ; runs += 1) {
    try {
      return await run();
    } catch (error) {
      if (runs === mostRuns || !conflicts.has(codeOf(error))) throw error;
      // Random, so that the same two do not meet again.
      await delay(Math.random() * 50 * runs);
    }
  }
}

const conflicts = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
]);

const unavailableCodes = new Set([
  ...conflicts,
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  '25006', // read_only_sql_transaction: a standby, or a primary that was set so
  '25P03', // idle_in_transaction_session_timeout
  '25P04', // transaction_timeout
  '3D000', // invalid_catalog_name: the database is being restored
  '55000', // object_not_in_prerequisite_state: the database accepts no connections
  '55006', // object_in_use: the database is being copied
  '58030', // io_error
]);

/** Connection, authentication, resources (memory, disk, connections), operator intervention. */
const unavailableClasses = ['08', '28', '53', '57'];

/** Whether PostgreSQL cannot do this now but may later, as opposed to an error of the statement. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  if (unavailableCodes.has(code)) return true;
  // Node's own codes are longer.
  if (code.length === 5 && unavailableClasses.includes(code.slice(0, 2))) return true;
  if (error instanceof AggregateError) return error.errors.some(isDatabaseUnavailable);
  // pg gives these no code.
  return /timeout exceeded when trying to connect|timeout expired|Connection terminated|Query read timeout|is not queryable/i.test(
    error.message,
  );
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : '';
}
