import pg from 'pg';

export type Pool = pg.Pool;
export type Client = pg.PoolClient;
/** Where a statement may run: the pool, or one connection inside a transaction. */
export type Queryable = Pick<pg.Pool, 'query'>;

type PoolOptions = { databaseUrl: string; maxConnections: number; onError: (error: Error) => void };

// Every statement that is sent often begins at ids or at the start of an index. A plan that PostgreSQL makes and keeps while
// a table is small would read it whole for good, until the table is analyzed; so it is to take no such plan where there is another.
// (Before PostgreSQL 18, what is ruled out counts as so dear that it would be compiled first.)
const plannerOptions = '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off';

/** A pool whose every wait has a limit: 5 s for a connection, 30 s for a statement. */
export function createPool({ databaseUrl, maxConnections, onError }: PoolOptions): Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: maxConnections,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30_000,
    statement_timeout: 30_000,
    query_timeout: 35_000,
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
    application_name: 'fltr-webhooks',
    options: plannerOptions,
  });
  // Without a listener, an idle connection that PostgreSQL closes would end the process.
  pool.on('error', onError);
  return pool;
}

export async function withTransaction<T>(pool: Pool, run: (client: Client) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await run(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (error) {
    try {
      await client.query('rollback');
      client.release();
    } catch (rollbackError) {
      client.release(rollbackError instanceof Error ? rollbackError : true);
    }
    throw error;
  }
}

const connectionErrors = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '53300', // too_many_connections
]);

/** Whether an error says that PostgreSQL cannot be reached now, as opposed to a wrong statement. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && (connectionErrors.has(code) || code.startsWith('08'))) return true;
  if (error instanceof AggregateError) return error.errors.some(isDatabaseUnavailable);
  // pg gives these two no code.
  return /timeout exceeded when trying to connect|Connection terminated|Query read timeout/i.test(
    error.message,
  );
}
