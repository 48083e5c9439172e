import { setTimeout as delay } from 'node:timers/promises';
import { callApi, newTargets, type Target } from './targets.ts';
import { startProduct, type Bench, type Product } from './bench.ts';
import { cpuBetween, takeCpu, takeMemory } from './measure.ts';
import { figuresOf, runLoad } from './measured-load.ts';
import { singleBurst, steadyLoad, type OnServers } from './mode.ts';
import type { Manner } from './receiver.ts';
import { byPart, type ByPart } from './report.ts';

/** Attempts an hour for each webhook, the product's default: the excess is deferred. */
const cap = 1000;
const deferredWebhooks = 10;
const perTimerWebhook = 100;
const heldWebhooks = 20;
const batch = 100;
/** Long enough that no retry is due within the run. */
export const waitingSettings = { FLTR_RETRY_SCHEDULE_SECONDS: '14400' };
const idleSeconds = 10;
const maxIdleWindows = 30;
/** Above this many CPU-ms a second, work is still going on. */
const restMs = 300;
const publishLimitMs = 600_000;
const fillLimitMs = 45 * 60_000;
const fillStallMs = 120_000;
/** Requests to one webhook are spaced, so the last ones may take minutes. */
const enough = 0.99;

type Waiting = { timers: number; deferred: number; held: number };

/** The cost of waiting deliveries for the others: 40 % wait for a retry, 40 % for the hourly cap, 20 % are held. */
export const waiting: OnServers = async (bench, servers) => {
  const product = await startProduct(bench, servers);
  const before = figuresOf(
    await runLoad(bench, product, { ...singleBurst(bench), name: 'burst, none wait' }),
  );
  const idleBefore = await idleCpu(bench, product);
  const memoryBefore = byPart(takeMemory(product.parts));
  const filled = await fill(bench, product);
  const idleAfter = await idleCpu(bench, product);
  const memoryAfter = byPart(takeMemory(product.parts));
  const steadySpec = { ...steadyLoad(bench, 20), name: '20/s, many wait' };
  const steady = figuresOf(await runLoad(bench, product, steadySpec));
  const burst = figuresOf(await runLoad(bench, product, { ...singleBurst(bench), name: 'burst, many wait' }));
  return {
    parts: [burst, steady, before],
    more: {
      ...filled,
      idleCpuMsPerSecondBefore: idleBefore,
      idleCpuMsPerSecondAfter: idleAfter,
      memoryMiBBefore: memoryBefore,
      memoryMiBAfter: memoryAfter,
    },
  };
};

/** CPU-ms a second without load, once it no longer falls: groups hand deliveries over some time after their attempts. */
export async function idleCpu({ report }: Bench, { parts }: Product): Promise<ByPart> {
  report('Idle, until the work under way is done …');
  let [last, before] = [Infinity, takeCpu(parts)];
  for (let window = 1; ; window += 1) {
    await delay(idleSeconds * 1000);
    const after = takeCpu(parts);
    const use = cpuBetween(before, after);
    const idle = byPart(use?.partMs ?? null, use?.seconds);
    const all = idle.all ?? 0;
    if ((all < restMs && all >= last * 0.9) || window === maxIdleWindows) {
      report(`  ${Math.round(all)} CPU-ms a second after ${window * idleSeconds} s`);
      return idle;
    }
    [last, before] = [all, after];
  }
}

async function fill(bench: Bench, product: Product): Promise<Waiting> {
  const share = (percent: number): number => Math.round((bench.waiting * percent) / 100);
  const wanted: Waiting = { timers: share(40), deferred: share(40), held: share(20) };
  bench.report(`Making ${bench.waiting} deliveries wait …`);
  const targets = (count: number, manner: Manner): Promise<Target[]> =>
    newTargets(product.pool, product.apiUrls[0] ?? '', bench.receiverUrl, count, () => manner);
  const held = await targets(heldWebhooks, 'healthy');
  for (const { key, webhookId } of held)
    await callApi(product.apiUrls[0] ?? '', key, 'PATCH', `/v1/webhooks/${webhookId}`, { active: false });
  await publish(bench, product, held, wanted.held);
  await publish(
    bench,
    product,
    await targets(Math.ceil(wanted.timers / perTimerWebhook), 'failing'),
    wanted.timers,
  );
  const deferred = await targets(deferredWebhooks, 'healthy');
  await publish(bench, product, deferred, wanted.deferred + deferredWebhooks * cap);
  return untilWaiting(bench, product, wanted);
}

let fills = 0;

async function publish(bench: Bench, product: Product, to: readonly Target[], events: number): Promise<void> {
  if (events === 0) return;
  const input = {
    apiUrls: product.apiUrls,
    keys: to.map(({ key }) => key),
    idPrefix: `evt_wait${(fills += 1)}`,
    events,
    batch,
    pace: { callers: 4 },
    limitMs: publishLimitMs,
  };
  const { refused } = await bench.load.call('publishAll', input, publishLimitMs + 60_000);
  for (const [response, count] of Object.entries(refused)) bench.report(`  ${count} batches: ${response}`);
}

async function countWaiting({ pool }: Product): Promise<Waiting> {
  const { rows } = await pool.query<Waiting>(
    // Without those whose own workflow is not started yet.
    `select count(*) filter (where status = 'retrying' and run_id is not null)::int as timers,
       count(*) filter (where status = 'pending' and next_attempt_at is not null and run_id is not null)::int as deferred,
       count(*) filter (where status = 'held')::int as held
     from deliveries where ended_at is null`,
  );
  return rows[0] ?? { timers: 0, deferred: 0, held: 0 };
}

/** Waits until as many deliveries wait as wanted, nothing has changed for a while, or the limit is reached. */
async function untilWaiting({ report }: Bench, product: Product, wanted: Waiting): Promise<Waiting> {
  const total = ({ timers, deferred, held }: Waiting): number => timers + deferred + held;
  const deadline = Date.now() + fillLimitMs;
  let [last, movedAt, reportedAt] = [-1, Date.now(), 0];
  for (;;) {
    const now = await countWaiting(product);
    if (total(now) >= total(wanted) * enough) return now;
    if (total(now) !== last) movedAt = Date.now();
    last = total(now);
    if (Date.now() - movedAt > fillStallMs || Date.now() > deadline) {
      report(`  Only ${last} of ${total(wanted)} deliveries wait; the run continues with these.`);
      return now;
    }
    if (Date.now() - reportedAt > 15_000) {
      reportedAt = Date.now();
      report(`  ${now.timers} for a retry, ${now.deferred} for the hourly cap, ${now.held} held`);
    }
    await delay(2000);
  }
}
