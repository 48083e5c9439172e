import { setTimeout as delay } from 'node:timers/promises';
import { startProduct, type Bench, type Product } from './bench.ts';
import { cpuBetween, percentiles, takeCpu, takeMemory } from './measure.ts';
import { accountCount } from './measured-load.ts';
import { idleCpu } from './mode-waiting.ts';
import type { OnServers } from './mode.ts';
import { byPart, noFigures } from './report.ts';
import { newTargets, type Target } from './targets.ts';

/** Bodies that the load generator makes at once. */
const slice = 50_000;
const maxBatch = 500;
const callers = 4;
const limitMs = 600_000;
/** How many become due at the same moment. */
const dueAtOnce = [100, 1000];
/** Long enough for publishing them, and for the work after that. */
const dueInMs = 20_000;
const daysAhead = 20;

/** The cost of scheduled deliveries: their inserts, waiting, and how late those start that become due together. */
export const scheduled: OnServers = async (bench, servers) => {
  const { rows, report } = bench;
  const product = await startProduct(bench, servers);
  const apiUrl = product.apiUrls[0] ?? '';
  const targets = await newTargets(product.pool, apiUrl, bench.receiverUrl, accountCount, () => 'healthy');
  const idleBefore = await idleCpu(bench, product);
  const latenessBefore = await latenessesOf(bench, product, targets, 'Before');
  report(`Publishing ${rows} events for a time in ${daysAhead} days …`);
  const before = takeCpu(product.parts);
  const startedAt = performance.now();
  const deliverAt = new Date(Date.now() + daysAhead * 86_400_000).toISOString();
  for (let done = 0; done < rows; done += slice) {
    await publish(bench, product, targets, Math.min(slice, rows - done), deliverAt);
    report(`  ${Math.min(rows, done + slice)} published`);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const use = cpuBetween(before, takeCpu(product.parts));
  const waiting = await countScheduled(product);
  // Otherwise PostgreSQL does both in the background while the idle time is measured.
  await product.pool.query('vacuum analyze');
  await product.pool.query('checkpoint');
  const idleAfter = await idleCpu(bench, product);
  const memoryAfter = byPart(takeMemory(product.parts));
  const latenessAfter = await latenessesOf(bench, product, targets, 'After');
  return {
    parts: [{ name: `${waiting} scheduled`, ...noFigures }],
    more: {
      scheduledRows: waiting,
      insertsPerSecond: Math.round(waiting / seconds),
      insertCpuMsPerDelivery: use && byPart(use.partMs, waiting),
      idleCpuMsPerSecondBefore: idleBefore,
      idleCpuMsPerSecondAfter: idleAfter,
      memoryMiBAfter: memoryAfter,
      ...latenessBefore,
      ...latenessAfter,
    },
  };
};

async function latenessesOf(
  bench: Bench,
  product: Product,
  targets: readonly Target[],
  when: 'Before' | 'After',
): Promise<Record<string, number | null>> {
  const figures: Record<string, number | null> = {};
  for (const count of dueAtOnce) {
    const { arrived, p50, p99, last } = await latenessOf(bench, product, targets, count);
    figures[`due${when}`] = (figures[`due${when}`] ?? 0) + arrived;
    figures[`latenessMsP50Of${count}${when}`] = p50;
    figures[`latenessMsP99Of${count}${when}`] = p99;
    figures[`latenessMsLastOf${count}${when}`] = last;
  }
  return figures;
}

let publishes = 0;

async function publish(
  bench: Bench,
  { apiUrls }: Product,
  to: readonly Target[],
  events: number,
  deliverAt: string,
): Promise<string> {
  const idPrefix = `evt_scheduled${(publishes += 1)}`;
  // A batch has one account: all of them get some, and none has more than the hourly cap.
  const batch = Math.min(maxBatch, Math.ceil(events / to.length));
  const keys = to.map(({ key }) => key);
  const input = { apiUrls, keys, idPrefix, events, batch, pace: { callers }, deliverAt, limitMs };
  const { refused } = await bench.load.call('publishAll', input, limitMs + 60_000);
  for (const [response, count] of Object.entries(refused)) bench.report(`  ${count} batches: ${response}`);
  return idPrefix;
}

async function countScheduled({ pool }: Product): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as count from deliveries where start_after = 'deliver_at' and status = 'pending'`,
  );
  return rows[0]?.count ?? 0;
}

/** Between the time of deliveries that become due together, and the arrival of their requests. */
async function latenessOf(bench: Bench, product: Product, targets: readonly Target[], count: number) {
  const dueAt = Date.now() + dueInMs;
  bench.report(`${count} become due together …`);
  await bench.receiver.call('reset', undefined, limitMs);
  const prefix = await publish(bench, product, targets, count, new Date(dueAt).toISOString());
  await delay(dueAt - Date.now());
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { delivered } = await bench.receiver.call('progress', undefined, limitMs);
    if (delivered >= count || Date.now() > deadline) break;
    await delay(200);
  }
  const { ids, firstAt } = await bench.receiver.call('take', undefined, limitMs);
  const late = ids.flatMap((id, index) =>
    id.startsWith(`${prefix}_`) ? [(firstAt[index] ?? NaN) - dueAt] : [],
  );
  return { ...percentiles(late), last: Math.max(...late), arrived: late.length };
}
