import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

type Options = {
  databaseUrl: string;
  accountIds: readonly string[];
  /** Connections, each with one transaction after the other. */
  connections: number;
  /** On average, and half as long in the middle of a transaction. */
  pauseMs: number;
  /** They end once so many events are committed. */
  events?: number;
};

/** The ids of the events that were published. `unknown`: the response to their commit was lost. */
export type Published = Record<'committed' | 'rolledBack' | 'unknown', string[]>;
export type Producers = Published & {
  /** Resolves when they have ended. */
  ended: Promise<void>;
  stop(): Promise<void>;
};

const data = JSON.stringify({ document_id: 'doc_1', dataset_id: 'ds' });
const retryMs = 50;

/** Producers that publish in transactions of a database, each third of which is rolled back. They continue after it was away. */
export function startProducers({
  databaseUrl,
  accountIds,
  connections,
  pauseMs,
  events,
}: Options): Producers {
  const published: Published = { committed: [], rolledBack: [], unknown: [] };
  const stopping = new AbortController();
  const { signal } = stopping;
  let transactions = 0;
  const isEnough = () => published.committed.length + published.unknown.length >= (events ?? Infinity);
  const pause = (ms: number) => delay(Math.random() * 2 * ms, undefined, { signal }).catch(() => undefined);

  const transact = async (db: pg.Client): Promise<void> => {
    transactions += 1;
    const accountId = accountIds[transactions % accountIds.length];
    const isCommit = transactions % 3 !== 0;
    const ids: string[] = [];
    let isEnding = false;
    try {
      await db.query('begin');
      ids.push(await publish(db, accountId));
      await pause(pauseMs / 2);
      ids.push(await publish(db, accountId));
      isEnding = true;
      await db.query(isCommit ? 'commit' : 'rollback');
      published[isCommit ? 'committed' : 'rolledBack'].push(...ids);
    } catch (error) {
      published[isCommit && isEnding ? 'unknown' : 'rolledBack'].push(...ids);
      throw error;
    }
  };
  const produce = async (): Promise<void> => {
    while (!signal.aborted && !isEnough()) {
      const db = new pg.Client({ connectionString: databaseUrl });
      // Without a listener, its loss would end this process.
      db.on('error', () => undefined);
      try {
        await db.connect();
        while (!signal.aborted && !isEnough()) {
          await transact(db);
          await pause(pauseMs);
        }
      } catch {
        // The database is away, or has cut the connection.
        await delay(retryMs);
      } finally {
        await db.end().catch(() => undefined);
      }
    }
  };
  const ended = Promise.all(Array.from({ length: connections }, produce)).then(() => undefined);
  return {
    ...published,
    ended,
    async stop(): Promise<void> {
      stopping.abort();
      await ended;
    },
  };
}

async function publish(db: pg.Client, accountId: string | undefined): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    `select fltr_outbox.publish('document.deleted', $1::text, account => $2) as id`,
    [data, accountId],
  );
  return rows[0]?.id ?? '';
}
