import { stepPacing, type Pacing } from '../domain/health.ts';
import { maxReleased, releaseCount, secondsToRelease } from '../domain/release.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import {
  correctTimes,
  decideSlots,
  isUnlimited,
  startLimitMs,
  type Decision,
  type LimitReason,
  type QueueState,
} from '../domain/webhook-limits.ts';
import { acceptExpired } from './failed-deliveries.ts';
import { countReleased, releaseParked } from './parked-deliveries.ts';
import { withTransaction, type Client, type Pool, type Queryable } from './pool.ts';
import { checkQueueIn, dropQueue, keepQueue, secondsBetweenChecks } from './queue-checks.ts';
import {
  lockQueue,
  readFamilies,
  readLimits,
  readQueue,
  type Limits,
  type QueueLimits,
} from './read-queue.ts';
import { defer, expire, grant, park, writeTimes, type Deferral, type Run } from './write-slots.ts';

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
  entryOf: (at: Date, until: Date, reason: LimitReason) => StoredEntry;
  /** A time that comes within so many ms is waited for by the caller; none unless given. */
  patienceMs?: number;
};

/**
 * `granted`: it is sent before `startBy`, by `performance.now()`, or another slot is requested; `isProbe`: to a webhook that is
 * down, or has just recovered. `soon`: another slot is requested after so many ms; nothing is written. `busy`: too many others
 * are under way; nothing is written. `deferred`: written to the delivery's row at `at`. `parked`: written to its row.
 * `changed`: none of these, because the delivery was held or canceled meanwhile or has another owner.
 */
export type Slot =
  | { is: 'granted'; isProbe?: true; startBy?: number }
  | { is: 'soon'; waitMs: number }
  | { is: 'busy' }
  | { is: 'deferred'; at: Date; until: Date; reason: LimitReason }
  | { is: 'parked' }
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
  const { webhookId, limits, pacing, lockedAt, firstParked } = queue;
  const ids = requests.map(({ deliveryId }) => deliveryId);
  const isBehind = firstParked !== null && ids.some((id) => id > firstParked);
  if (isUnlimited(limits) && !isBehind) return requests.map((): Slot => ({ is: 'granted' }));
  const state = await readQueue(client, webhookId, queue, ids, ids.toSorted().at(-1) ?? '');
  const decided = decideSlots({ ...state, firstParked }, ids);
  const decisionOf = (request: SlotRequest): Decision =>
    patiently(decided.get(request.deliveryId) ?? { is: 'park' }, state.now + (request.patienceMs ?? 0));
  const decisions = requests.map((request) => ({ request, decision: decisionOf(request) }));
  const wants = (is: Decision['is']) =>
    decisions.flatMap(({ request, decision }) => (decision.is === is ? [request] : []));
  const at = new Date(state.now);
  const isPaced = limits.nextProbeAt !== null;
  const granted = wants('now');
  // The webhook's row first, in the order of every transaction that changes webhooks.
  if (isPaced && granted.length > 0) await writeProbe(client, webhookId, pacing, state.now);
  if (granted.length > 0) await grant(client, webhookId, at, granted);
  const deferrals = decisions.flatMap(({ request, decision }): Deferral[] => {
    if (decision.is !== 'later') return [];
    const until = new Date(Math.ceil(decision.at));
    const { reason } = decision;
    return [{ ...request, until, reason, entry: request.entryOf(at, until, reason) }];
  });
  const toPark = wants('park');
  const written = new Set([
    ...(deferrals.length > 0 ? await defer(client, deferrals) : []),
    ...(toPark.length > 0 ? await park(client, toPark) : []),
  ]);
  if (written.size > 0) await keepQueue(client, webhookId);
  const startMs = startLimitMs(limits);
  const asGranted: Slot = {
    is: 'granted',
    ...((isPaced || limits.rampStartedAt !== null) && { isProbe: true }),
    ...(startMs !== null && { startBy: lockedAt + startMs }),
  };
  return decisions.map(({ request: { deliveryId }, decision }): Slot => {
    switch (decision.is) {
      case 'now':
        return asGranted;
      case 'later': {
        const { at: time, reason } = decision;
        if (!written.has(deliveryId)) return { is: 'changed' };
        return { is: 'deferred', at, until: new Date(Math.ceil(time)), reason };
      }
      case 'park':
        return { is: written.has(deliveryId) ? 'parked' : 'changed' };
      case 'soon':
        return { is: 'soon', waitMs: decision.at - state.now };
      case 'busy':
        return { is: 'busy' };
    }
  });
}

/** A time until `limit` is waited for; a later one is written, and a later one of the ramp is none: the delivery is parked. */
function patiently(decision: Decision, limit: number): Decision {
  if (decision.is !== 'later' && decision.is !== 'soon') return decision;
  if (decision.at <= limit) return { is: 'soon', at: decision.at };
  return decision.is === 'later' ? decision : { is: 'park' };
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
  withTransaction(pool, async (client) => {
    const expired = await expire(client, [run]);
    await acceptExpired(client, expired);
    return expired.length > 0;
  });

/** An attempt that was granted was not made: its slot is free. */
export async function giveBack(db: Queryable, deliveryId: string, number: number): Promise<void> {
  await db.query({
    name: 'give-back',
    text: `delete from rate_limit_grants where delivery_id = $1 and number = $2`,
    values: [deliveryId, number],
  });
}

type FamilyQueue = Omit<QueueState, 'firstParked'>;

/**
 * Corrects the times of the first deliveries in a webhook's queue, and releases parked ones. The reconciler wakes those whose
 * time has changed when it has come. Without any limit, all of the queue is due.
 *
 * @returns how many parked deliveries were released, and after how many seconds the queue is checked again
 */
export async function correctQueue(pool: Pool, webhookId: string, defaults: Limits) {
  return withTransaction(pool, async (client) => {
    await lockQueue(client, webhookId);
    const read = await readLimits(client, webhookId, defaults);
    const states: FamilyQueue[] = [];
    for (const family of read.families) {
      const state = await readQueue(client, webhookId, { ...read, family }, [], null);
      const corrected = correctTimes(state, state.head);
      if (corrected.length > 0) await writeTimes(client, corrected);
      states.push(state);
    }
    const { firstParked } = read;
    const released = firstParked === null ? 0 : await release(client, webhookId, firstParked, states);
    const isEmpty = states.every(({ head }) => head.length === 0);
    const [state] = states;
    const logLength = states.reduce((sum, { used }) => sum + used.length, 0);
    const seconds = Math.min(
      isEmpty && firstParked !== null ? Infinity : secondsBetweenChecks(logLength),
      firstParked === null || !state ? Infinity : secondsToRelease(state),
    );
    if (isEmpty && firstParked === null && !(read.releases && (await isReleasing(client, webhookId))))
      await dropQueue(client, webhookId);
    else await checkQueueIn(client, webhookId, seconds);
    // Grants without an attempt.
    await client.query(
      `delete from rate_limit_grants where webhook_id = $1 and granted_at < now() - make_interval(secs => $2)`,
      [webhookId, (2 * read.grantMs) / 1000],
    );
    return { released, seconds };
  });
}

async function release(
  client: Client,
  webhookId: string,
  before: string,
  states: readonly FamilyQueue[],
): Promise<number> {
  const [state] = states;
  if (!state) return 0;
  const count = releaseCount({
    ...state,
    used: states.flatMap(({ used }) => used).toSorted((a, b) => a - b),
    released: await countReleased(client, webhookId, before, maxReleased),
    deferred: states.flatMap(({ head }) => head).filter(({ reason }) => reason !== null).length,
  });
  return count === 0 ? 0 : releaseParked(client, webhookId, count);
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
