import type { AttemptResult } from '../src/domain/attempt-result.ts';
import type { RunStart, SignalName, SignalRequest } from '../src/domain/delivery-run.ts';
import type { StoredEntry } from '../src/domain/timeline.ts';

/**
 * Names, inputs, results, signals and queries of the workflows. Callers import this file, never an implementation.
 * All of it ends up in histories: ids and outcomes only, no payload, secret or URL.
 */
export const taskQueue = 'fltr-webhooks';

export const searchAttributes = {
  FltrAccount: 'Keyword',
  FltrEventType: 'Keyword',
  FltrDelivery: 'KeywordList',
  FltrEvent: 'Keyword',
  FltrWebhook: 'Keyword',
} as const;

export type DeliverEventInput = RunStart & {
  deliveryId: string;
  webhookId: string;
  /** Whether the first attempt is a local activity: cheaper, and for webhooks that are not known to hang. */
  isFirstLocal: boolean;
};
export type DeliverEventResult = { status: 'delivered' | 'held' | 'deferred' | 'canceled' | 'ended' };

export const signalNames: { readonly [name in SignalName]: name } = {
  retryNow: 'retryNow',
  cancel: 'cancel',
  reschedule: 'reschedule',
  wake: 'wake',
};
/** The one signal of a group's workflow: for one of its deliveries. */
export const groupSignalName = 'signalDelivery';
export type GroupSignal = { deliveryId: string; name: SignalName; request: SignalRequest };

export const stateQueryName = 'state';

export type DeliveryState = {
  phase: 'attempting' | 'waiting' | 'ended';
  attempts: number;
  nextAttemptAt: string | null;
};

/** The input of a delivery's own workflow. */
export type DeliveryFacts = {
  id: string;
  accountId: string;
  webhookId: string;
  eventId: string;
  eventType: string;
  /** The waits before its retries, in seconds; null: the setting. */
  schedule?: number[] | null;
};

/** Deliveries that share a workflow for their first attempt. */
export type DeliverGroupInput = { deliveries: GroupedDelivery[]; schedule: number[] };
export type GroupedDelivery = Pick<DeliveryFacts, 'id' | 'webhookId'>;
export type DeliverGroupResult = { delivered: number; others: number };

export type AttemptGroupInput = {
  deliveries: GroupedDelivery[];
  scheduledSeconds: number | null;
  /** When the run began, RFC 3339. */
  startedAt: string;
};
/**
 * `result` null: the attempt was not made, so the delivery's own workflow makes it. `failed`: the delivery failed; its own
 * workflow is started with these facts.
 */
export type GroupAttempt = {
  deliveryId: string;
  result: Exclude<AttemptResult, { next: 'busy' }> | null;
  failed?: DeliveryFacts;
};

/** Signals of a group that are for deliveries which continue in workflows of their own. */
export type PassOnInput = { signals: GroupSignal[] };

export type RescheduleInput = { deliveryId: string; at: string; until: string; notes: StoredEntry[] };

export type CancelInput = { deliveryId: string; notes: StoredEntry[] };

export type ArchiveInput = { deliveryId: string; entries: StoredEntry[] };

export type EvaluateInput = { after: string };
export type EvaluateResult = { next: string | null; disabled: number };

export type RunOperationInput = { operationId: string; isPaused: boolean };
export type RunOperationResult = { status: 'completed' | 'canceled' };
export const operationSignalNames = { pause: 'pause', resume: 'resume', cancel: 'cancel' } as const;
export type OperationSignal = keyof typeof operationSignalNames;

export type OperationPageInput = { operationId: string };
export type OperationPageResult =
  | { next: 'page'; sent: number; pauseMs: number }
  /** A recovery's webhook is not active: paused until the webhook is active and the recovery is resumed. */
  | { next: 'pause' }
  | { next: 'end'; status: 'completed' | 'canceled' };
export type SetOperationStatusInput = { operationId: string; status: 'running' | 'paused' | 'canceled' };

export type DeleteAccountInput = { accountId: string };
export type DeleteAccountResult = { status: 'erased' };
/** `wait`: something of the account still runs. */
export type EraseAccountResult = { next: 'more' | 'wait' | 'end' };

/** `step`: where to continue; null: at the first one. */
export type RemoveOldRowsInput = { step: string | null; removed: number };
export type RemoveOldRowsResult = { removed: number };
export type RemoveOldBatchInput = { step: string | null };
export type RemoveOldBatchResult = { removed: number; next: string | null };
