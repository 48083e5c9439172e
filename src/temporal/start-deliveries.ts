import { defineSearchAttributeKey } from '@temporalio/common';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Pool } from '../db/pool.ts';
import { createBatcher } from '../db/batcher.ts';
import { markStarted, type Startable } from '../db/deliveries.ts';
import type { DeliverEventInput } from '../../workflows/contract.ts';
import { taskQueue } from '../../workflows/contract.ts';
import { isTemporalUnavailable, within, type Temporal } from './client.ts';

type Deps = { pool: Pool; temporal: Temporal; log: Logger; scheduleSeconds: readonly number[] };

const keys = {
  account: defineSearchAttributeKey('FltrAccount', 'KEYWORD'),
  eventType: defineSearchAttributeKey('FltrEventType', 'KEYWORD'),
  delivery: defineSearchAttributeKey('FltrDelivery', 'KEYWORD_LIST'),
  event: defineSearchAttributeKey('FltrEvent', 'KEYWORD_LIST'),
  webhook: defineSearchAttributeKey('FltrWebhook', 'KEYWORD_LIST'),
};

type Run = Pick<DeliverEventInput, 'retriesBefore' | 'isRelease'>;

/** What a delivery's workflow is started with, the first time or again: its id is the delivery's. */
export function startOptions(delivery: Startable, scheduleSeconds: readonly number[], run: Run) {
  const input: DeliverEventInput = {
    deliveryId: delivery.id,
    webhookId: delivery.webhookId,
    schedule: [...scheduleSeconds],
    attemptsBefore: delivery.attemptCount,
    ...run,
  };
  return {
    taskQueue,
    workflowId: delivery.id,
    args: [input] as [DeliverEventInput],
    staticSummary: `${delivery.eventType} to ${delivery.webhookId}`,
    typedSearchAttributes: [
      { key: keys.account, value: delivery.accountId },
      { key: keys.eventType, value: delivery.eventType },
      { key: keys.delivery, value: [delivery.id] },
      { key: keys.event, value: [delivery.eventId] },
      { key: keys.webhook, value: [delivery.webhookId] },
    ],
  };
}

export type Starter = {
  /** Starts workflows of deliveries that were just committed; what it cannot take or start, the sweep starts. */
  enqueue(deliveries: readonly Startable[]): void;
  /**
   * Starts the first run of a delivery. False where Temporal has had one, running or ended.
   *
   * @throws where Temporal cannot be reached
   */
  startFirst(delivery: Startable, isRelease: boolean): Promise<boolean>;
  /** Waits for the starts under way; takes no more. */
  close(): Promise<void>;
};

/** Starts under way at once: as many as a small server takes without falling behind. */
const maxUnderWay = 32;
/** What waits in memory; more stays in PostgreSQL alone, for the sweep. */
const maxQueued = 2000;
const startTimeoutMs = 10_000;

export function createStarter({ pool, temporal, log, scheduleSeconds }: Deps): Starter {
  let queue: Startable[] = [];
  let pausedUntil = 0;
  let isClosed = false;
  const underWay = new Set<Promise<void>>();
  const mark = createBatcher<{ id: string; runId: string }, null>({
    maxSize: 256,
    concurrency: 1,
    run: async (started) => {
      await markStarted(pool, started);
      return started.map(() => null);
    },
  });

  const startFirst = async (delivery: Startable, isRelease: boolean): Promise<boolean> => {
    const options = startOptions(delivery, scheduleSeconds, { retriesBefore: 0, isRelease });
    try {
      const { firstExecutionRunId: runId } = await within(temporal, startTimeoutMs, () =>
        temporal.client.workflow.start('deliverEvent', {
          ...options,
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
        }),
      );
      await mark({ id: delivery.id, runId });
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  };

  const startQueued = async (delivery: Startable): Promise<void> => {
    try {
      await startFirst(delivery, false);
    } catch (error) {
      if (isTemporalUnavailable(error)) {
        // Nothing is lost: the rows are due for the sweep in seconds.
        if (pausedUntil < Date.now())
          log.warn({ deliveries: queue.length + 1 }, 'Temporal is away: the sweep will start what waits');
        pausedUntil = Date.now() + 1000;
        queue = [];
      } else {
        log.error(
          { err: error, delivery: delivery.id },
          'a workflow could not be started: the sweep will try again',
        );
      }
    }
  };

  const pump = (): void => {
    while (underWay.size < maxUnderWay) {
      const next = queue.shift();
      if (!next) return;
      const start = startQueued(next).finally(() => {
        underWay.delete(start);
        pump();
      });
      underWay.add(start);
    }
  };

  return {
    startFirst,
    enqueue(deliveries) {
      if (isClosed || Date.now() < pausedUntil) return;
      queue.push(...deliveries.slice(0, maxQueued - queue.length));
      pump();
    },
    async close() {
      isClosed = true;
      queue = [];
      await Promise.all(underWay);
    },
  };
}
