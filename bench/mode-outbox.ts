import { setTimeout as delay } from 'node:timers/promises';
import { installOutbox } from '../src/db/outbox-schema.ts';
import { createPool, onlyRow, withTransaction, type Pool } from '../src/db/pool.ts';
import { newDatabase, startProduct, type Bench, type Product } from './bench.ts';
import { eventData } from './load.ts';
import { cpuBetween, isDisturbed, takeCpu } from './measure.ts';
import { accountCount } from './measured-load.ts';
import type { OnServers } from './mode.ts';
import { byPart, noFigures, type Part } from './report.ts';
import { callApi, newTargets } from './targets.ts';

/** Connections of producers. */
const producers = 16;
const limitMs = 600_000;
const data = JSON.stringify(eventData(1));

/**
 * From the insert into an outbox to the acceptance, each event with one delivery that is held, so that delivering takes no
 * part: the outbox in the service's own database and in another one; a transaction for each event, then one for all.
 */
export const outbox: OnServers = async (bench, servers) => {
  const parts: Part[] = [];
  for (const kind of ['service', 'elsewhere']) {
    const database = `outbox_${kind}`;
    const other = kind === 'service' ? null : await newDatabase(servers, 'shop');
    const settings = { ...bench.settings, FLTR_OUTBOX_URLS: other ?? 'service' };
    const product = await startProduct({ ...bench, settings }, servers, { database });
    const databaseUrl = other ?? servers.databaseUrl.replace(/[^/]+$/, database);
    const pool = createPool({ databaseUrl, maxConnections: producers, onError: () => undefined });
    bench.stops.push(() => pool.end());
    await withTransaction(pool, installOutbox);
    await pool.query('create table orders (id bigint generated always as identity, note text)');
    const accountIds = await newHoldingAccounts(bench, product);
    await measure(bench, product, pool, `warm-up ${kind}`, accountIds, publishEach, bench.warmUpEvents);
    const events = bench.events * 4;
    for (const [name, publish] of [
      [`${events} transactions, ${kind}`, publishEach],
      [`${events} in a transaction, ${kind}`, publishAll],
    ] as const)
      parts.push(await measure(bench, product, pool, name, accountIds, publish, events));
    await product.stop();
  }
  return { parts, more: {} };
};

async function newHoldingAccounts({ receiverUrl }: Bench, { pool, apiUrls }: Product): Promise<string[]> {
  const [apiUrl = ''] = apiUrls;
  const targets = await newTargets(pool, apiUrl, receiverUrl, accountCount, () => 'healthy');
  for (const { key, webhookId } of targets)
    await callApi(apiUrl, key, 'PATCH', `/v1/webhooks/${webhookId}`, { active: false });
  return targets.map(({ accountId }) => accountId);
}

type Publish = (pool: Pool, accountIds: readonly string[], count: number) => Promise<void>;

/** A business row and an event in each transaction. */
const publishEach: Publish = async (pool, accountIds, count) => {
  let next = 0;
  const produce = async (): Promise<void> => {
    for (let number = next++; number < count; number = next++) {
      await pool.query({
        name: 'publish',
        text: `with row as (insert into orders (note) values ('new') returning id)
          select fltr_outbox.publish('document.uploaded', $1::text, account => $2) from row`,
        values: [data, accountIds[number % accountIds.length]],
      });
    }
  };
  await Promise.all(Array.from({ length: producers }, produce));
};

const publishAll: Publish = async (pool, accountIds, count) => {
  await pool.query(
    `select count(fltr_outbox.publish('document.uploaded', $1::text, account => ($2::text[])[1 + n % cardinality($2::text[])]))
     from generate_series(1, $3::int) n`,
    [data, accountIds, count],
  );
};

async function measure(
  { report }: Bench,
  product: Product,
  pool: Pool,
  name: string,
  accountIds: readonly string[],
  publish: Publish,
  count: number,
): Promise<Part> {
  report(`${name}: ${count} events …`);
  const expected = (await countEvents(product.pool)) + count;
  const before = takeCpu(product.parts);
  const startedAt = performance.now();
  await publish(pool, accountIds, count);
  const publishedMs = performance.now() - startedAt;
  while ((await countEvents(product.pool)) < expected) {
    if (performance.now() - startedAt > limitMs) throw new Error(`${name}: not all events were accepted`);
    await delay(20);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = cpuBetween(before, takeCpu(product.parts));
  const otherCores = cpu?.otherCores ?? null;
  report(`${name}: published in ${Math.round(publishedMs)} ms, accepted in ${Math.round(seconds * 1000)} ms`);
  return {
    name,
    ...noFigures,
    accepted: count,
    acceptedPerSecond: count / seconds,
    cpuMsPerDelivery: byPart(cpu?.partMs ?? null, count),
    otherCores,
    isDisturbed: isDisturbed(otherCores),
    seconds,
  };
}

async function countEvents(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>('select count(*)::int as count from events');
  return onlyRow(rows, 'count-events').count;
}
