import type { QueueReason } from '../contracts/delivery.ts';
import { isInRamp, stepPacing, type Pacing } from '../domain/health.ts';
import { maxQueueHead } from '../domain/hourly-cap.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import {
  correctTimes,
  decideSlots,
  isUnlimited,
  startLimitMs,
  type Decision,
} from '../domain/webhook-limits.ts';
import { acceptExpired } from './failed-deliveries.ts';
import { withTransaction, type Client, type Pool, type Queryable } from './pool.ts';
import { keepQueue, minSecondsBetweenChecks, secondsBetweenChecks } from './queue-checks.ts';
import {
  lockQueue,
  readExpiries,
  readFamilies,
  readLimits,
  readQueue,
  type Limits,
  type QueueLimits,
} from './read-queue.ts';
import { defer, expire, grant, writeTimes, type Deferral, type Run } from './write-slots.ts';

/** An attempt of a webhook that is near one of its limits, to be granted or deferred. */
export type SlotRequest = {
  deliveryId: string;
  number: number;
  webhookId: string;
  ownerId: string;
  runId: string;
  /** The run's entries since its last step. */
  notes: readonly StoredEntry[];
  /** The entry of a deferral: when it was decided, until when, and why. */
  entryOf: (at: Date, until: Date, reason: QueueReason) => StoredEntry;
  /** A time that comes within so many ms is waited for by the caller; none unless given. */
  patienceMs?: number;
};

/**
 * `granted`: it is sent before `startBy`, by `performance.now()`, or another slot is requested; `isProbe`: to a webhook that is
 * down, or has just recovered. `soon`: another slot is requested after so many ms; nothing is written. `busy`: too many others
 * are under way; nothing is written. `deferred`: written to the delivery's row at `at`. `expired`: it waited for too long and
 * has failed. `changed`: none of these, because the delivery was held or canceled meanwhile or has another owner.
 */
export type Slot =
  | { is: 'granted'; isProbe?: true; startBy?: number }
  | { is: 'soon'; waitMs: number }
  | { is: 'busy' }
  | { is: 'deferred'; at: Date; until: Date; reason: QueueReason }
  | { is: 'expired' }
  | { is: 'changed' };

/**
 * Grants or defers attempts of one webhook, with its queue locked.
 *
 * @returns in the order of the requests
 */
export async function takeSlots(
  pool: Pool,
  webhookId: string,
  defaults: Limits,
  requests: readonly SlotRequest[],
): Promise<Slot[]> {
  return withTransaction(pool, async (client) => {
    await lockQueue(client, webhookId);
    // Before the time of the grants is read: so no attempt begins later than it seems.
    const lockedAt = performance.now();
    const read = await readLimits(client, webhookId, defaults);
    const slots = new Map<SlotRequest, Slot>();
    for (const [family, ofFamily] of await byFamily(client, read, requests)) {
      const taken = await takeOfFamily(client, { ...read, webhookId, lockedAt, family }, ofFamily);
      ofFamily.forEach((request, index) => slots.set(request, taken[index] ?? { is: 'changed' }));
    }
    return requests.map((request): Slot => slots.get(request) ?? { is: 'changed' });
  });
}

/** The requests, by the families that are counted apart. */
async function byFamily(
  client: Client,
  { families }: QueueLimits,
  requests: readonly SlotRequest[],
): Promise<Map<string | null, SlotRequest[]>> {
  if (families.length === 1) return new Map([[families[0] ?? null, [...requests]]]);
  const familyOf = await readFamilies(
    client,
    requests.map(({ deliveryId }) => deliveryId),
  );
  return Map.groupBy(requests, ({ deliveryId }) => familyOf.get(deliveryId) ?? null);
}

type LockedQueue = QueueLimits & { webhookId: string; lockedAt: number; family: string | null };

/** Returns the slots in the order of the requests. */
async function takeOfFamily(
  client: Client,
  queue: LockedQueue,
  requests: readonly SlotRequest[],
): Promise<Slot[]> {
  const { webhookId, limits, pacing, lockedAt } = queue;
  if (isUnlimited(limits)) return requests.map((): Slot => ({ is: 'granted' }));
  const ids = requests.map(({ deliveryId }) => deliveryId);
  const isPaced = limits.nextProbeAt !== null;
  // While it is paced only the first of the queue has a time of its own.
  const most = isPaced ? 1 : maxQueueHead;
  const state = await readQueue(client, webhookId, queue, ids, ids.toSorted().at(-1) ?? '', most);
  const requesters = isPaced
    ? await readExpiries(client, ids)
    : ids.map((id) => ({ id, expiresAt: state.now + state.holdMs }));
  const decisions = decideSlots(state, requesters);
  const wants = (is: Decision['is']) =>
    requests.filter(({ deliveryId }) => decisions.get(deliveryId)?.is === is);
  const at = new Date(state.now);
  const granted = wants('now');
  // The webhook's row first, in the order of every transaction that changes webhooks.
  if (isPaced && granted.length > 0) await writeProbe(client, webhookId, pacing, state.now);
  if (granted.length > 0) await grant(client, webhookId, at, granted);
  const deferrals = requests.flatMap((request): Deferral[] => {
    const decision = decisions.get(request.deliveryId);
    if (decision?.is !== 'later' || decision.at - state.now <= (request.patienceMs ?? 0)) return [];
    const until = new Date(Math.ceil(decision.at));
    const { reason } = decision;
    return [{ ...request, until, reason, entry: request.entryOf(at, until, reason) }];
  });
  const deferred = deferrals.length > 0 ? await defer(client, deferrals) : new Set<string>();
  if (deferrals.length > 0) await keepQueue(client, webhookId);
  const expired = await endExpired(client, wants('expired'));
  const isProbe = isPaced || isInRamp(pacing, state.now);
  const startMs = startLimitMs(limits);
  const asGranted: Slot = {
    is: 'granted',
    ...(isProbe && { isProbe }),
    ...(startMs !== null && { startBy: lockedAt + startMs }),
  };
  const untilOf = new Map(deferrals.map((deferral) => [deferral.deliveryId, deferral]));
  return requests.map(({ deliveryId }): Slot => {
    const decision = decisions.get(deliveryId);
    if (decision?.is === 'now') return asGranted;
    if (decision?.is === 'busy') return { is: 'busy' };
    if (decision?.is === 'expired') return { is: expired.has(deliveryId) ? 'expired' : 'changed' };
    const deferral = untilOf.get(deliveryId);
    if (!deferral) return decision ? { is: 'soon', waitMs: decision.at - state.now } : { is: 'changed' };
    const { until, reason } = deferral;
    return deferred.has(deliveryId) ? { is: 'deferred', at, until, reason } : { is: 'changed' };
  });
}

/** A probe is granted: the next one follows after an interval, so that a process that dies with it costs no more. */
async function writeProbe(db: Queryable, webhookId: string, pacing: Pacing, now: number): Promise<void> {
  const next = stepPacing(pacing, { type: 'granted' }, now);
  if (next.nextProbeAt === null) return;
  await db.query({
    name: 'write-probe',
    text: `update webhooks set next_probe_at = $2, failed_probes = $3 where id = $1 and next_probe_at is not null`,
    values: [webhookId, new Date(next.nextProbeAt), next.probes],
  });
}

/** Ends a delivery as failed whose `expires_at` has come. False: it has changed meanwhile. */
export const endExpiredRun = (pool: Pool, run: Run): Promise<boolean> =>
  withTransaction(pool, async (client) => (await endExpired(client, [run])).has(run.deliveryId));

async function endExpired(client: Client, requests: readonly Run[]): Promise<Set<string>> {
  if (requests.length === 0) return new Set();
  const expired = await expire(client, requests);
  await acceptExpired(client, expired);
  return new Set(expired.map(({ deliveryId }) => deliveryId));
}

/** An attempt that was granted was not made: its slot is free. */
export async function giveBack(db: Queryable, deliveryId: string, number: number): Promise<void> {
  await db.query({
    name: 'give-back',
    text: `delete from rate_limit_grants where delivery_id = $1 and number = $2`,
    values: [deliveryId, number],
  });
}

/**
 * Corrects the times of the first deliveries in a webhook's queue. The reconciler wakes those whose time has changed when it
 * has come. Without any limit, all of the queue is due.
 */
export async function correctQueue(pool: Pool, webhookId: string, defaults: Limits): Promise<void> {
  await withTransaction(pool, async (client) => {
    await lockQueue(client, webhookId);
    const read = await readLimits(client, webhookId, defaults);
    const states: Awaited<ReturnType<typeof readQueue>>[] = [];
    for (const family of read.families) {
      const state = await readQueue(client, webhookId, { ...read, family }, [], null);
      const corrected = correctTimes(state, state.head);
      if (corrected.length > 0) await writeTimes(client, corrected);
      states.push(state);
    }
    // Their times depend on how fast the first of them go, and those behind the head have none yet.
    const hasDown = states.some((each) => each.hasDown || each.head.some(({ reason }) => reason === 'down'));
    const isReleasedByRamp = hasDown && read.limits.nextProbeAt === null;
    const isEmpty = states.every(({ head }) => head.length === 0);
    if (isEmpty && !(read.releases && (await isReleasing(client, webhookId))))
      await client.query(`delete from rate_limit_queues where webhook_id = $1`, [webhookId]);
    else {
      const logLength = states.reduce((sum, { used }) => sum + used.length, 0);
      // A time that has come was requested by a change since this check was claimed.
      await client.query(
        `update rate_limit_queues set check_at = clock_timestamp() + make_interval(secs => $2)
         where webhook_id = $1 and check_at > clock_timestamp()`,
        [webhookId, isReleasedByRamp ? minSecondsBetweenChecks : secondsBetweenChecks(logLength)],
      );
    }
    // Grants without an attempt.
    await client.query(
      `delete from rate_limit_grants where webhook_id = $1 and granted_at < now() - make_interval(secs => $2)`,
      [webhookId, (2 * read.grantMs) / 1000],
    );
  });
}

/** Whether a webhook's held deliveries are still being released. If not, the rate at which they went ends with its queue. */
async function isReleasing(db: Queryable, webhookId: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update webhooks set release_per_second = null
     where id = $1 and not exists (select 1 from deliveries where webhook_id = $1 and status = 'held')`,
    [webhookId],
  );
  return rowCount === 0;
}
