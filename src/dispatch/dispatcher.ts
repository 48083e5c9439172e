import type { Logger } from 'pino';
import type { Startable } from '../db/deliveries-table.ts';
import { assignOwners, lockUnowned, type Assignment } from '../db/owners.ts';
import { withTransaction, type Pool } from '../db/pool.ts';
import type { Reservation } from '../db/reserve-owners.ts';
import { formGroups, startedFirst } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import { isTemporalUnavailable } from '../temporal/client.ts';
import { every } from '../every.ts';
import type { FirstAttempts } from './first-attempts.ts';
import {
  maxFlightForOthersMs,
  maxFlightMs,
  maxStarts,
  maxStartsUngrouped,
  maxWaitingGroups,
  pollMs,
  startWithinMs,
} from './limits.ts';
import { startDelivery, startGroup, type StartDeps } from './start.ts';
import { createStartGate } from './start-gate.ts';
import { createWaitingGroups, type Start } from './waiting-groups.ts';

type Deps = StartDeps & {
  pool: Pool;
  log: Logger;
  /** Most deliveries that share a workflow for their first attempt; 1: none ever does. */
  deliveriesPerWorkflow: number;
  firstAttempts: FirstAttempts;
  /** Called when deliveries have an owner that the reconciler is to start. */
  onQueued: () => void;
};

/** A start of deliveries that may share a workflow. Others in a burst are queued, and would give way to a few of their own kind. */
const isUrgent = ({ deliveries }: Start): boolean => deliveries.some(({ mayShare = true }) => mayShare);

export type Dispatcher = ReturnType<typeof createDispatcher>;

/** Assigns owners to deliveries and starts their workflows. `limits.ts` explains how, and how fast. */
export function createDispatcher(deps: Deps) {
  const { pool, log, deliveriesPerWorkflow, firstAttempts, mayShare } = deps;
  const most = deliveriesPerWorkflow === 1 ? maxStartsUngrouped : maxStarts;
  /** With whether others give way to it. */
  const inFlight = new Map<Promise<void>, boolean>();
  /** Reserved by inserts that are not committed yet. */
  let reserved = 0;
  const waiting = createWaitingGroups(deliveriesPerWorkflow);
  let pausedUntil = 0;
  let isClosed = false;
  /** Whether rows without an owner were left behind at the last look, or have been committed since. */
  let hasUnowned = false;

  const isPaused = () => isClosed || Date.now() < pausedUntil;
  const free = () => (isPaused() ? 0 : most - inFlight.size - reserved);

  const gate = createStartGate(() => [...inFlight.values()].some(Boolean) || waiting.count() > 0);

  const launch = async ({ workflowId, deliveries, assignedAt }: Start): Promise<void> => {
    const [only] = deliveries;
    const deadline = assignedAt + startWithinMs;
    // It waited for too long: the reconciler starts it by now.
    if (Date.now() >= deadline) return;
    const watched = firstAttempts.watch(workflowId);
    try {
      if (only && workflowId === only.id) await startDelivery(deps, only, deadline);
      else await startGroup(deps, workflowId, deliveries, deadline);
      await watched.until(deps.temporal().isWorkers ? maxFlightMs : maxFlightForOthersMs);
    } catch (error) {
      if (isTemporalUnavailable(error)) {
        // Nothing is lost: the reconciler starts deliveries that have an owner.
        if (!isPaused())
          log.warn('Temporal is unavailable: the reconciler starts waiting deliveries when it is back');
        pausedUntil = Date.now() + 1000;
        waiting.clear();
      } else {
        log.error(
          { err: error, workflow: workflowId },
          'a workflow was not started: the reconciler tries again',
        );
      }
    } finally {
      watched.forget();
    }
  };
  const start = (next: Start): void => {
    const flight = launch(next).finally(() => {
      inFlight.delete(flight);
      fill();
    });
    inFlight.set(flight, isUrgent(next));
  };

  /** Starts waiting groups while there is capacity. If there are rows without an owner, one start is kept for them. */
  const fill = (): void => {
    while (free() > (hasUnowned ? 1 : 0)) {
      const next = waiting.next();
      if (!next) break;
      start(next);
    }
    if (free() > 0 && hasUnowned) loop.wake();
    gate.look();
  };

  /**
   * Workflows for deliveries: one for each if there is capacity for all, else groups. At most `capacity` of them, and
   * `maxWaiting` groups that wait.
   *
   * @param assignedAt ms since 1970, before the transaction that writes the owners begins: the reconciler's time counts from there
   */
  const form = (
    deliveries: readonly Startable[],
    assignedAt: number,
    capacity: number,
    maxWaiting = 0,
  ): Start[] => {
    const isOwn = deliveriesPerWorkflow === 1 || deliveries.length <= capacity;
    const most = isOwn ? 1 : deliveriesPerWorkflow;
    return formGroups(deliveries, most, capacity + maxWaiting).map((group) => ({
      workflowId: isOwn ? (group[0]?.id ?? '') : newId('grp'),
      deliveries: group,
      assignedAt,
    }));
  };
  const startedHere = <Row extends Startable>(rows: readonly Row[], capacity: number): Row[] => {
    const first = rows.filter(({ attemptCount, webhookId }) => attemptCount === 0 && mayShare(webhookId));
    return startedFirst(first, deliveriesPerWorkflow, capacity);
  };

  /** Assigns owners to the oldest rows that have none, and starts them. Whether there is more to do now. */
  const assign = async (): Promise<boolean> => {
    const capacity = free();
    if (capacity <= 0) return false;
    hasUnowned = false;
    const limit = capacity * deliveriesPerWorkflow;
    const assignedAt = Date.now();
    const { starts, queued, isFull } = await withTransaction(pool, async (client) => {
      const rows = await lockUnowned(client, limit);
      const first = startedHere(rows, capacity);
      const ofFirst = new Set(first);
      const chosen = form(first, assignedAt, capacity);
      const later = rows.filter((row) => !ofFirst.has(row));
      const assignments: Assignment[] = [
        ...chosen.flatMap(({ workflowId, deliveries }) =>
          deliveries.map(({ id }) => ({ id, ownerId: workflowId, isQueued: false })),
        ),
        ...later.map(({ id }) => ({ id, ownerId: id, isQueued: true })),
      ];
      if (assignments.length > 0) await assignOwners(client, assignments);
      const assigned = chosen.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
      return {
        starts: chosen,
        queued: later.length,
        isFull: rows.length === limit || assigned < first.length,
      };
    });
    if (isFull) hasUnowned = true;
    for (const next of starts) start(next);
    if (queued > 0) deps.onQueued();
    fill();
    return hasUnowned && free() > 0;
  };
  const loop = every(pollMs, assign, (error) =>
    log.warn({ err: error }, 'the dispatcher could not assign owners; it tries again'),
  );

  return {
    /** Deliveries without an owner may have been committed. */
    wake(): void {
      hasUnowned = true;
      loop.wake();
    },
    /** Chooses owners for deliveries that are about to be inserted, as far as there is capacity. Never waits. */
    reserve(deliveries: readonly Startable[]): Reservation {
      const capacity = hasUnowned || waiting.count() > 0 ? 0 : Math.max(0, free());
      const mine = startedHere(deliveries, capacity);
      const mayWait = !isPaused() && deliveriesPerWorkflow > 1;
      const joining = mayWait ? waiting.join(mine) : null;
      const others = mine.slice(joining?.deliveries.length ?? 0);
      const maxWaiting = mayWait ? maxWaitingGroups - waiting.count() : 0;
      const starts = form(others, Date.now(), capacity, maxWaiting);
      // Groups that wait use capacity only when they are started.
      const count = Math.min(starts.length, capacity);
      reserved += count;
      const owners = new Map(deliveries.map(({ id }) => [id, { id, isQueued: true }]));
      for (const { id } of mine) owners.delete(id);
      for (const { workflowId, deliveries: owned } of [...starts, ...(joining ? [joining] : [])])
        for (const { id } of owned) owners.set(id, { id: workflowId, isQueued: false });
      const committed = (inserted: readonly Startable[]): void => {
        reserved -= count;
        const byId = new Set(inserted.map(({ id }) => id));
        const committedOf = (owned: readonly Startable[]) => owned.filter(({ id }) => byId.has(id));
        joining?.end(committedOf(joining.deliveries));
        for (const each of starts) {
          const left = committedOf(each.deliveries);
          if (left.length > 0) waiting.add({ ...each, deliveries: left });
        }
        if (inserted.some(({ id }) => !owners.has(id))) hasUnowned = true;
        if (inserted.some(({ id }) => owners.get(id)?.isQueued)) deps.onQueued();
        fill();
      };
      return { owners, committed, release: () => committed([]) };
    },
    /** Resolves when a start that is not urgent may begin. */
    giveWay: gate.pass,
    /** Assigns no more owners, starts the groups that wait, and waits for all starts in flight. */
    async close(): Promise<void> {
      isClosed = true;
      for (let next = waiting.next(); next; next = waiting.next()) start(next);
      await loop.close();
      while (inFlight.size > 0) await Promise.all(inFlight.keys());
    },
  };
}
