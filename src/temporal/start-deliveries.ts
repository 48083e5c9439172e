import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Logger } from 'pino';
import { settleCarriers } from '../db/carriers.ts';
import type { Startable } from '../db/deliveries.ts';
import type { Pool } from '../db/pool.ts';
import type { PlanStarts } from '../db/start-plan.ts';
import { groupSize } from '../domain/group.ts';
import { newId } from '../domain/ids.ts';
import type { FirstAttempts } from './first-attempts.ts';
import { groupStartOptions, startOptions, type Queued, type Run } from './start-options.ts';
import { isTemporalUnavailable, within, type Caller } from './client.ts';

type Deps = {
  pool: Pool;
  /** The worker's own connection where there is one: what is started on it begins in this process, at once. */
  temporal: () => Caller;
  log: Logger;
  scheduleSeconds: readonly number[];
  /** Most deliveries that share a workflow for their first attempt; 1: none ever does. */
  deliveriesPerWorkflow: number;
  /** Whether a webhook's deliveries may share one. */
  mayShare: (webhookId: string) => boolean;
  firstAttempts: FirstAttempts;
  /** Told of every workflow that was started. */
  onStarted: (kind: 'own' | 'group') => void;
};

/** A workflow that is about to be started, and what it carries: one delivery under its own id, or a group. */
type Start = { workflowId: string; deliveries: Queued[]; isAlone: boolean };

export type Starter = {
  /** Asked before deliveries are written, so that the same transaction settles who carries them. Never waits. */
  plan: PlanStarts;
  /** Takes a delivery that nothing carries yet. False where there is no room, or Temporal is away: come again. */
  enqueue(delivery: Queued): boolean;
  /** How many more would be taken now, but for those whose webhook hangs or fails. */
  room(): number;
  /**
   * Starts the first run of a delivery under its own id. False where Temporal has had one, running or ended.
   *
   * @throws where Temporal cannot be reached
   */
  startFirst(delivery: Startable, isRelease: boolean): Promise<boolean>;
  /** The same for a group. */
  startGroup(groupId: string, deliveries: readonly Queued[]): Promise<boolean>;
  /** Waits for the starts under way; takes no more. */
  close(): Promise<void>;
};

/**
 * Starts under way at once, each until its first attempts are made or `maxHoldMs` have passed since it was acknowledged:
 * a receiver that hangs holds up none. What waits meanwhile is the next group: an idle service has none, a burst large ones.
 */
const maxStarts = 4;
const maxHoldMs = 250;
/** The same where other processes do the work, of which nothing is heard here: four starts in so long keep a small server busy. */
const holdForOthersMs = 100;
/** The same where no two deliveries share a workflow: as many as a small server takes without falling behind. */
const maxStartsUngrouped = 32;
/** Of deliveries to webhooks that hang or fail: each has a workflow of its own, and they hold up no other one. */
const maxStartsAlone = 4;
/** While others are being started, too: a workflow of its own takes as much of the machine as a dozen that share one. */
const maxStartsAloneBeside = 1;
/** What waits in memory; more waits in PostgreSQL alone, until the sweep finds room for it. */
const maxQueued = 5000;
const startTimeoutMs = 10_000;

/** Deliveries of one kind that wait for a start, in order, and the starts under way. */
type Lane = { queue: Map<string, Queued>; underWay: number; most: number; perWorkflow: number };

export function createStarter(deps: Deps): Starter {
  const { pool, temporal, log, scheduleSeconds, deliveriesPerWorkflow } = deps;
  const shared: Lane = {
    queue: new Map(),
    underWay: 0,
    most: deliveriesPerWorkflow === 1 ? maxStartsUngrouped : maxStarts,
    perWorkflow: deliveriesPerWorkflow,
  };
  const alone: Lane = { queue: new Map(), underWay: 0, most: maxStartsAlone, perWorkflow: 1 };
  const lanes = [shared, alone];
  const running = new Set<Promise<void>>();
  let pausedUntil = 0;
  let isClosed = false;

  const isPaused = () => isClosed || Date.now() < pausedUntil;
  const laneOf = ({ webhookId }: Startable) => (deps.mayShare(webhookId) ? shared : alone);

  const call = async (
    kind: 'own' | 'group',
    start: (caller: Caller) => Promise<unknown>,
  ): Promise<boolean> => {
    const caller = temporal();
    try {
      await within(caller, startTimeoutMs, () => start(caller));
      deps.onStarted(kind);
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  };
  const startOwn = (delivery: Queued, run: Run): Promise<boolean> =>
    call('own', ({ client, isWorkers }) =>
      client.workflow.start('deliverEvent', {
        ...startOptions(delivery, scheduleSeconds, run),
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        requestEagerStart: isWorkers,
      }),
    );
  const startGroup = (groupId: string, deliveries: readonly Queued[]): Promise<boolean> =>
    call('group', ({ client, isWorkers }) =>
      client.workflow.start('deliverGroup', {
        ...groupStartOptions(groupId, deliveries, scheduleSeconds),
        requestEagerStart: isWorkers,
      }),
    );

  const launch = async ({ workflowId, deliveries, isAlone }: Start): Promise<void> => {
    const [only] = deliveries;
    const watched = deps.firstAttempts.watch(workflowId);
    try {
      if (only && workflowId === only.id) {
        const { isRelease = false } = only;
        await startOwn(only, { retriesBefore: 0, isRelease, isFirstLocal: !isAlone });
      } else await startGroup(workflowId, deliveries);
      await watched.until(temporal().isWorkers ? maxHoldMs : holdForOthersMs);
    } catch (error) {
      if (isTemporalUnavailable(error)) {
        // Nothing is lost: the rows are due for the sweep in seconds.
        if (!isPaused()) log.warn('Temporal is away: the sweep will start what waits');
        pausedUntil = Date.now() + 1000;
        for (const lane of lanes) lane.queue.clear();
      } else {
        log.error(
          { err: error, workflow: workflowId },
          'a workflow could not be started: the sweep will try again',
        );
      }
    } finally {
      watched.forget();
    }
  };

  /** The next workflows for what waits, at most `free`: each delivery has its own if there are enough, else all share. */
  const form = (waiting: readonly Queued[], lane: Lane, free: number): Start[] => {
    const starts: Start[] = [];
    const isAlone = lane === alone;
    const size = waiting.length <= free ? 1 : lane.perWorkflow;
    for (let at = 0; at < waiting.length && starts.length < free;) {
      const deliveries = waiting.slice(at, at + size);
      const taken = size === 1 ? deliveries : deliveries.slice(0, groupSize(deliveries, size));
      const [first] = taken;
      if (!first) break;
      starts.push({
        workflowId: taken.length === 1 ? first.id : newId('grp'),
        deliveries: taken,
        isAlone,
      });
      at += taken.length;
    }
    return starts;
  };

  const track = (lane: Lane, work: Promise<void>): void => {
    lane.underWay += 1;
    const tracked = work.finally(() => {
      lane.underWay -= 1;
      running.delete(tracked);
      lanes.forEach(pump);
    });
    running.add(tracked);
  };

  /** What was queued is settled only now; what somebody else has settled meanwhile is theirs. */
  const settleAndLaunch = async (lane: Lane, starts: readonly Start[]): Promise<void> => {
    let settled: Set<string>;
    try {
      const settlements = starts.flatMap(({ workflowId, deliveries }) =>
        deliveries.map(({ id }) => ({ id, workflowId })),
      );
      settled = new Set(await settleCarriers(pool, settlements));
    } catch (error) {
      log.warn({ err: error }, 'what waits for its start could not be settled: the sweep will try again');
      return;
    }
    for (const start of starts) {
      const deliveries = start.deliveries.filter(({ id }) => settled.has(id));
      if (deliveries.length > 0) track(lane, launch({ ...start, deliveries }));
    }
  };

  const pump = (lane: Lane): void => {
    const isBeside = lane === alone && (shared.underWay > 0 || shared.queue.size > 0);
    const free = (isBeside ? maxStartsAloneBeside : lane.most) - lane.underWay;
    if (free <= 0 || lane.queue.size === 0 || isClosed) return;
    const waiting: Queued[] = [];
    for (const delivery of lane.queue.values()) {
      if (waiting.length === free * lane.perWorkflow + 1) break;
      waiting.push(delivery);
    }
    const starts = form(waiting, lane, free);
    for (const { deliveries } of starts) for (const { id } of deliveries) lane.queue.delete(id);
    // The places are taken while it settles, and taken again by each start.
    lane.underWay += starts.length - 1;
    track(
      lane,
      settleAndLaunch(lane, starts).finally(() => {
        lane.underWay -= starts.length - 1;
      }),
    );
  };

  const enqueueIn = (lane: Lane, delivery: Queued): boolean => {
    if (isPaused() || lane.queue.size >= maxQueued) return false;
    lane.queue.set(delivery.id, delivery);
    return true;
  };

  return {
    startGroup,
    startFirst: (delivery, isRelease) =>
      startOwn(delivery, { retriesBefore: 0, isRelease, isFirstLocal: deps.mayShare(delivery.webhookId) }),
    enqueue(delivery) {
      const lane = laneOf(delivery);
      if (!enqueueIn(lane, delivery)) return false;
      // Not at once: what comes in the same turn of the event loop belongs together.
      queueMicrotask(() => pump(lane));
      return true;
    },
    room: () => (isPaused() ? 0 : Math.max(0, maxQueued - shared.queue.size)),
    plan(deliveries) {
      const free = shared.most - shared.underWay;
      const mine = deliveries.filter((delivery) => laneOf(delivery) === shared);
      const isFree = free > 0 && shared.queue.size === 0 && !isPaused();
      const starts = isFree ? form(mine, shared, free) : [];
      const carriers = new Map(
        starts.flatMap(({ workflowId, deliveries: carried }) => carried.map(({ id }) => [id, workflowId])),
      );
      shared.underWay += starts.length;
      const giveBack = () => {
        shared.underWay -= starts.length;
      };
      return {
        workflowIds: deliveries.map(({ id }) => carriers.get(id) ?? null),
        start(inserted) {
          giveBack();
          const byId = new Map(inserted.map((delivery) => [delivery.id, delivery]));
          for (const start of starts) {
            const committed = start.deliveries.filter(({ id }) => byId.has(id));
            if (committed.length > 0 && !isClosed) track(shared, launch({ ...start, deliveries: committed }));
          }
          for (const delivery of inserted)
            if (!carriers.has(delivery.id)) enqueueIn(laneOf(delivery), delivery);
          lanes.forEach(pump);
        },
        cancel() {
          giveBack();
          lanes.forEach(pump);
        },
      };
    },
    async close() {
      isClosed = true;
      for (const lane of lanes) lane.queue.clear();
      while (running.size > 0) await Promise.all(running);
    },
  };
}
