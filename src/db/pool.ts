import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

export type Pool = pg.Pool;
export type Client = pg.PoolClient;
/** Where a statement may run: the pool, or one connection inside a transaction. */
export type Queryable = Pick<pg.Pool, 'query'>;

type PoolOptions = { databaseUrl: string; maxConnections: number; onError: (error: Error) => void };

/** What every session starts with, whatever the database or the role says. Each as `current_setting` shows it. */
export const sessionSettings = {
  // Hours are counted from midnight UTC, and times are read in this style alone.
  timezone: 'UTC',
  datestyle: 'ISO, MDY',
  // What a process that hangs has locked is free again after that.
  idle_in_transaction_session_timeout: '1min',
  // Every statement that is sent often begins at ids or at the start of an index. A plan that PostgreSQL makes and keeps while
  // a table is small would read it whole for good, until the table is analyzed; so it is to take no such plan where there is another.
  // (Before PostgreSQL 18, what is ruled out counts as so dear that it would be compiled first.)
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
} as const;

/** A pool whose every wait has a limit: 5 s for a connection, 30 s for a statement. */
export function createPool({ databaseUrl, maxConnections, onError }: PoolOptions): Pool {
  const pool = new pg.Pool({
    ...withSessionSettings(databaseUrl),
    max: maxConnections,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30_000,
    statement_timeout: 30_000,
    query_timeout: 35_000,
    keepAlive: true,
    application_name: 'fltr-webhooks',
  });
  // Without a listener, an idle connection that PostgreSQL closes would end the process.
  pool.on('error', onError);
  // The same for one in use: the pool listens to idle ones alone. Whoever uses it sees the loss by its next statement.
  pool.on('connect', (client) => client.on('error', () => undefined));
  // A statement on the pool is a transaction by itself: after a conflict nothing of it is left.
  const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<pg.QueryResult>;
  pool.query = ((...args: unknown[]) => repeatOnConflict(() => query(...args))) as typeof pool.query;
  return pool;
}

/** Options in the URL would replace ours: they are sent together. Where both set the same, ours counts. */
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

/**
 * Runs `run` in a transaction. After a deadlock or another conflict with a neighbor it is run again, so it must do
 * nothing outside of the transaction that a second run would do twice.
 */
export function withTransaction<T>(pool: Pool, run: (client: Client) => Promise<T>): Promise<T> {
  return repeatOnConflict(() => runTransaction(pool, run));
}

async function runTransaction<T>(pool: Pool, run: (client: Client) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await run(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (error) {
    // What lost its server, or has a session that is read-only, is of no use to the next one either.
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

/** After a conflict PostgreSQL has undone everything, and the same work usually succeeds when it is done again. */
async function repeatOnConflict<T>(run: () => Promise<T>): Promise<T> {
  for (let runs = 1; ; runs += 1) {
    try {
      return await run();
    } catch (error) {
      if (runs === mostRuns || !conflicts.has(codeOf(error))) throw error;
      // By chance: two that met would otherwise meet again.
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
  '55000', // object_not_in_prerequisite_state: the database takes no connections
  '55006', // object_in_use: the database is being copied
  '58030', // io_error
]);

/** Connections, passwords, resources (memory, disk, connections), an operator's intervention. */
const unavailableClasses = ['08', '28', '53', '57'];

/** Whether an error says that PostgreSQL cannot do this now, as opposed to a wrong statement: later it may. */
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
