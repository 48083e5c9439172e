import { setTimeout as delay } from 'node:timers/promises';
import { cancelAll } from './act-deliveries.ts';
import { haveOperationsEnded, resumeOperations } from './act-operations.ts';
import { joinPauses, liftRates } from './act-policies.ts';
import { activateAll, endBlocks } from './act-webhooks.ts';
import { checkDeferrals, looseAttempts, type DeferralFacts } from './check-cap.ts';
import { readWebhooks } from './facts.ts';
import { readAttempts, readDeliveries, type DeliveryRow } from './rows.ts';
import { findForgotten, findParkedWorkflows } from './parked.ts';
import { passHours } from './pass-hours.ts';
import { farMs } from './scenario.ts';
import type { World } from './world.ts';

const limitMs = 240_000;
/** Deliveries that are still deferred after so many hours without a fault are canceled: more hours would show nothing new. */
const mostHours = 10;
/** After so long without a change an hour passes. Longer than it takes to notice a dead worker. */
const stillMs = 14_000;
/** After so many hours in a row without a change, the deliveries count as stuck. */
const mostStillHours = 3;
/** For a delivery that is due sooner, no hour needs to pass. */
const soonMs = 15_000;
const quietMs = 600;

/** Ends all faults and the publishing in the background; from here on, all receivers respond with 200. */
export async function endFaults(world: World, activateAtEnd: boolean): Promise<void> {
  const { model, processes, receivers } = world;
  await world.joined('fault');
  for (let index = 0; index < processes.count; index += 1) processes.start(index);
  await processes.untilReady();
  await world.joined('publishing');
  model.faults.push(...(await findParkedWorkflows(world)));
  receivers.resetBehaviour();
  await liftRates(world);
  await endBlocks(world);
  await resumeOperations(world);
  await joinPauses(world);
  if (activateAtEnd) await activateAll(world);
  // Calls whose callers hung up may still be under way.
  await delay(300);
  world.print(`  faults ended; ${model.events.size} events, ${model.webhooks.length} webhooks`);
}

const limitReasons = new Set<string | null>(['hourly_cap', 'rate_limit', 'receiver_requested', 'down']);

type Waiting = { moving: DeliveryRow[]; deferred: DeliveryRow[] };

/** A held delivery of an active webhook counts as moving: it is about to be released. */
function waitingOf(
  { model }: World,
  deliveries: readonly DeliveryRow[],
  activeIds: ReadonlySet<string>,
): Waiting {
  const open = deliveries.filter(
    ({ status, webhookId, isBehindOther }) =>
      (status === 'pending' && !isBehindOther) ||
      status === 'retrying' ||
      (status === 'held' && activeIds.has(webhookId)),
  );
  const isLater = ({ nextAttemptAt }: DeliveryRow) => (nextAttemptAt ?? 0) > Date.now() + soonMs;
  // Once its time has come it is one of those that a limit defers, and uses one of its slots.
  const isFar = ({ id, waitReason, isScheduled, nextAttemptAt }: DeliveryRow) =>
    isScheduled
      ? (nextAttemptAt ?? 0) > Date.now() + farMs / 2
      : !limitReasons.has(waitReason) && model.actions.get(id)?.isFar === true;
  // Rescheduled during an attempt, a run waits when the attempt is over.
  const isAttempted = ({ waitReason, isRescheduled }: DeliveryRow) =>
    waitReason === 'rescheduled' && !isRescheduled;
  return {
    moving: open.filter((row) => !isLater(row) || isAttempted(row)),
    deferred: open.filter((row) => isLater(row) && !isFar(row) && !isAttempted(row)),
  };
}

/**
 * Waits until every delivery has ended that can. An hour passes where only deferred ones are left, or nothing changes.
 * Returns how many hours passed.
 */
export async function waitForEnd(world: World): Promise<number> {
  const { model, pool } = world;
  const startedAt = Date.now();
  const active = (await readWebhooks(world)).filter((webhook) => webhook.active);
  const activeIds = new Set(active.map(({ id }) => id));
  let [last, lastChange, hours, stillHours] = ['', Date.now(), 0, 0];
  while (model.faults.length === 0) {
    const deliveries = await readDeliveries(pool);
    const { moving, deferred } = waitingOf(world, deliveries, activeIds);
    const signature = deliveries.map(({ id, status, attemptCount }) => id + status + attemptCount).join();
    if (signature !== last) [last, lastChange, stillHours] = [signature, Date.now(), 0];
    const stillFor = Date.now() - lastChange;
    if (
      moving.length + deferred.length === 0 &&
      (await hasRecovered(world)) &&
      (await haveOperationsEnded(world))
    )
      return hours;
    if (Date.now() - startedAt > limitMs || stillHours >= mostStillHours) {
      model.faults.push(describeStuck([...moving, ...deferred], hours));
      return hours;
    }
    const isQuiet = moving.length === 0 && deferred.length > 0 && stillFor > quietMs;
    if (isQuiet || stillFor > stillMs) {
      if (isQuiet && hours > 0)
        model.faults.push(...(await findDeferralFaults(world, deferred)), ...(await findForgotten(world)));
      if (stillFor > stillMs) stillHours += 1;
      if (isQuiet && hours >= mostHours)
        await cancelAll(
          world,
          deferred.map(({ id }) => id),
        );
      else if (await passHours(world, 1)) hours += 1;
      lastChange = Date.now();
    }
    await delay(150);
  }
  return hours;
}

/** The service corrects next attempt times within seconds, so a fault counts only when it lasts longer. */
const correctedMs = 6000;

async function findDeferralFaults(world: World, deferred: readonly DeliveryRow[]): Promise<string[]> {
  const ids = new Set(deferred.map(({ id }) => id));
  const deadline = Date.now() + correctedMs;
  for (;;) {
    const rows = (await readDeliveries(world.pool)).filter(
      ({ id, status, nextAttemptAt, waitReason }) =>
        ids.has(id) &&
        waitReason === 'hourly_cap' &&
        (status === 'pending' || status === 'retrying') &&
        nextAttemptAt !== null,
    );
    const faults = checkDeferrals(await readDeferralFacts(world, rows));
    if (faults.length === 0 || Date.now() > deadline) return faults;
    await delay(500);
  }
}

/** To be read at a quiet moment, at least an hour after the last fault. */
async function readDeferralFacts(world: World, deferred: readonly DeliveryRow[]): Promise<DeferralFacts> {
  const { model, pool, api, receivers } = world;
  const attempts = await readAttempts(pool);
  const webhookIds = [...new Set(attempts.map(({ webhookId }) => webhookId))];
  const used = new Map<string, number>();
  for (const id of webhookIds) {
    const response = await api<{ hourly_cap: { used: number } | null }>('GET', `/v1/webhooks/${id}`, {
      // 404: deleted.
      expect: [200, 404],
      isRepeatable: true,
    });
    const count = response?.status === 200 ? response.body.hourly_cap?.used : undefined;
    if (count !== undefined) used.set(id, count);
  }
  const cap = model.caps.at(-1)?.cap ?? 0;
  const loose = looseAttempts(receivers.requests, model.shifts);
  return { now: Date.now(), cap, attempts, loose, deferred, used };
}

async function hasRecovered({ model, api }: World): Promise<boolean> {
  for (const id of model.recoveryIds) {
    const response = await api<{ status: string }>('GET', `/v1/recoveries/${id}`, {
      expect: [200],
      isRepeatable: true,
    });
    if (response === null || response.body.status === 'running') return false;
    model.recoveryIds.delete(id);
  }
  return true;
}

function describeStuck(rows: readonly DeliveryRow[], hours: number): string {
  const now = Date.now();
  const lines = rows.slice(0, 8).map(({ id, webhookId, status, nextAttemptAt, attemptCount }) => {
    const next = nextAttemptAt === null ? 'no time' : `in ${Math.round((nextAttemptAt - now) / 1000)} s`;
    return `  ${id} to ${webhookId}: ${status}, ${attemptCount} attempts, next ${next}`;
  });
  return [`${rows.length} deliveries did not end, though ${hours} hours passed:`, ...lines].join('\n');
}
