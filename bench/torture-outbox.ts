import { setTimeout as delay } from 'node:timers/promises';
import { installOutbox } from '../src/db/outbox-schema.ts';
import { readOutboxStatus } from '../src/db/outbox-rows.ts';
import { createPool, withTransaction, type Pool } from '../src/db/pool.ts';
import { startProducers, type Published } from './outbox-producers.ts';

type Options = {
  /** The databases with an outbox. */
  urls: readonly string[];
  /** Those of the events. */
  accountIds: readonly string[];
  events: number;
  /** About how long the publishing takes. */
  durationMs: number;
};

export type OutboxResult = Record<keyof Published, number> & {
  /** Committed events that are not in the log exactly once and with all deliveries, and others that are there. */
  wrong: number;
  deliveries: string[];
};

const connections = 2;
/** Two of three transactions are committed, with two events each. */
const eventsPerTransaction = 4 / 3;

/** Producers that publish through the outboxes of these databases. */
export async function startOutboxes({ urls, accountIds, events, durationMs }: Options) {
  const pools = urls.map((databaseUrl) =>
    createPool({ databaseUrl, maxConnections: 1, onError: () => undefined }),
  );
  for (const pool of pools) await withTransaction(pool, installOutbox);
  const each = Math.ceil(events / urls.length);
  const pauseMs = (durationMs * connections * eventsPerTransaction) / each;
  const all = urls.map((databaseUrl) =>
    // Half of the pause is in the middle of a transaction.
    startProducers({ databaseUrl, accountIds, connections, pauseMs: pauseMs / 1.5, events: each }),
  );
  const idsOf = (kind: keyof Published) => all.flatMap((producers) => producers[kind]);
  return {
    ended: Promise.all(all.map(({ ended }) => ended)),
    /** Resolves when the relays have taken all. */
    async untilEmpty(): Promise<void> {
      const deadline = Date.now() + 300_000;
      for (;;) {
        const left = await countWaiting(pools).catch(() => null);
        if (left === 0) return;
        if (Date.now() > deadline) throw new Error(`${left} events are left in an outbox`);
        await delay(200);
      }
    },
    async result(service: Pool): Promise<OutboxResult> {
      const [committed, rolledBack, unknown] = [idsOf('committed'), idsOf('rolledBack'), idsOf('unknown')];
      const logged = await readLogged(service, [...committed, ...rolledBack, ...unknown]);
      const isWhole = (id: string) => {
        const [found, ...others] = logged.get(id) ?? [];
        return found !== undefined && others.length === 0 && found.deliveries.length === found.webhooks;
      };
      const wrong = [
        ...committed.filter((id) => !isWhole(id)),
        ...unknown.filter((id) => logged.has(id) && !isWhole(id)),
        ...rolledBack.filter((id) => logged.has(id)),
      ];
      return {
        committed: committed.length,
        rolledBack: rolledBack.length,
        unknown: unknown.length,
        wrong: wrong.length,
        deliveries: [...logged.values()].flatMap((found) => found.flatMap(({ deliveries }) => deliveries)),
      };
    },
    async stop(): Promise<void> {
      await Promise.all(all.map((producers) => producers.stop()));
      await Promise.all(pools.map((pool) => pool.end()));
    },
  };
}

/** A refused event waits for its producer, and here none may be. */
async function countWaiting(pools: readonly Pool[]): Promise<number> {
  const all = await Promise.all(pools.map(readOutboxStatus));
  return all.reduce((sum, { waiting, refused }) => sum + waiting + refused, 0);
}

type Logged = { id: string; deliveries: string[]; webhooks: number };

/** Of each id, its events in the log. */
async function readLogged(pool: Pool, ids: readonly string[]): Promise<Map<string, Logged[]>> {
  const { rows } = await pool.query<Logged>(
    `select e.id, array_remove(array_agg(d.id), null) as deliveries,
       (select count(*)::int from webhooks w where w.account_id = e.account_id) as webhooks
     from events e left join deliveries d on (d.account_id, d.event_id) = (e.account_id, e.id)
     where e.id = any($1) group by e.account_id, e.id`,
    [ids],
  );
  return Map.groupBy(rows, ({ id }) => id);
}
