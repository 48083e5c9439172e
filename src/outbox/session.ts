import pg from 'pg';
import { outboxChannel, outboxLocks } from '../db/outbox-schema.ts';
import { connectionOptions, onlyRow, type Queryable } from '../db/pool.ts';

const connectMs = 5000;
const statementMs = 30_000;
/** Longer than the server's own limit, which is the better error. */
const responseMs = 35_000;

export type OutboxSession = {
  db: Queryable;
  isOpen(): boolean;
  /**
   * Whether this process relays: no other one has the lock. From then on it is woken by notifications. Behind a pooler such
   * as PgBouncer a session has neither locks nor notifications; there, each transaction has the lock for itself.
   */
  activate(): Promise<boolean>;
  /** Runs `run` in a transaction that has the lock; null: another process has it. */
  transaction<T>(run: () => Promise<T>): Promise<T | null>;
  /**
   * Before the relay waits. `waits`: from now on every producer that commits notifies it. `read_again`: the same, but somebody
   * may have committed before. `producing`: somebody is about to commit, and will not notify it.
   */
  fallAsleep(): Promise<'waits' | 'read_again' | 'producing'>;
  /** Producers need not notify it any longer. */
  wakeUp(): Promise<void>;
  close(): Promise<void>;
};

type Options = {
  databaseUrl: string;
  /** Its statements are those of the service, and need its settings of a session. Null: another database. */
  ofService: Pick<Queryable, 'payloads'> | null;
  onNotified: () => void;
};

/** One connection to an outbox's database: the lock, the notifications and the transactions are all on it. */
export async function openOutboxSession({
  databaseUrl,
  ofService,
  onNotified,
}: Options): Promise<OutboxSession> {
  const client = new pg.Client({
    // To another database without any options: a pooler may refuse unknown ones.
    ...(ofService ? connectionOptions(databaseUrl) : { connectionString: databaseUrl, keepAlive: true }),
    connectionTimeoutMillis: connectMs,
    query_timeout: responseMs,
    application_name: 'fltr-webhooks outbox',
  });
  let isOpen = true;
  const onEnd = (): void => {
    if (!isOpen) return;
    isOpen = false;
    onNotified();
  };
  client.on('error', onEnd);
  client.on('end', onEnd);
  client.on('notification', onNotified);
  const close = async (): Promise<void> => {
    isOpen = false;
    await client.end().catch(() => undefined);
  };
  try {
    await client.connect();
    const isPooled = await isBehindPooler(client);
    const lock = isPooled ? noSessionLock : createSessionLock(client);
    return {
      db: Object.assign(client, ofService),
      isOpen: () => isOpen,
      ...lock,
      transaction: (run) => inTransaction(client, run, close),
      close,
    };
  } catch (error) {
    // Not awaited: a server that does not respond would delay it.
    void close();
    throw error;
  }
}

/** A pooler gives its clients process ids of its own. */
async function isBehindPooler(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const { processID } = client as pg.Client & { processID?: number | null };
  return onlyRow(rows, 'backend-pid').pid !== processID;
}

/**
 * So that PostgreSQL releases the lock within seconds where the process or its machine is gone, even in the middle of a
 * statement. Not every system has all of them.
 */
const deathSettings = [
  'tcp_keepalives_idle = 3',
  'tcp_keepalives_interval = 1',
  'tcp_keepalives_count = 2',
  'client_connection_check_interval = 1000',
];

const noSessionLock = {
  activate: () => Promise.resolve(true),
  fallAsleep: () => Promise.resolve('waits' as const),
  wakeUp: () => Promise.resolve(),
};

function createSessionLock(client: pg.Client) {
  let isActive = false;
  let isAsleep = false;
  return {
    async activate(): Promise<boolean> {
      if (isActive) return true;
      if (!(await tryLock(client, `pg_try_advisory_lock(${outboxLocks.relay})`))) return false;
      for (const setting of deathSettings) await client.query(`set ${setting}`).catch(() => undefined);
      await client.query(`set statement_timeout = ${statementMs}; listen ${outboxChannel}`);
      isActive = true;
      return true;
    },
    async fallAsleep() {
      if (isAsleep) return 'waits' as const;
      isAsleep = await tryLock(client, `pg_try_advisory_lock(${outboxLocks.idle})`);
      return isAsleep ? ('read_again' as const) : ('producing' as const);
    },
    async wakeUp(): Promise<void> {
      if (!isAsleep) return;
      await client.query(`select pg_advisory_unlock(${outboxLocks.idle})`);
      isAsleep = false;
    },
  };
}

async function tryLock(client: pg.Client, call: string): Promise<boolean> {
  const { rows } = await client.query<{ isLocked: boolean }>(`select ${call} as "isLocked"`);
  return onlyRow(rows, 'outbox-lock').isLocked;
}

async function inTransaction<T>(
  client: pg.Client,
  run: () => Promise<T>,
  close: () => Promise<void>,
): Promise<T | null> {
  await client.query(
    `begin isolation level read committed read write; set local statement_timeout = ${statementMs}; set local idle_in_transaction_session_timeout = 60000; set local enable_seqscan = off`,
  );
  try {
    const isMine = await tryLock(client, `pg_try_advisory_xact_lock(${outboxLocks.relay})`);
    const result = isMine ? await run() : null;
    await client.query(isMine ? 'commit' : 'rollback');
    return result;
  } catch (error) {
    await client.query('rollback').catch(close);
    throw error;
  }
}
