import type { AttemptErrorCode, AttemptOutcome } from '../src/contracts/attempt.ts';
import type { FailureReason } from '../src/contracts/delivery.ts';
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
  FltrEvent: 'KeywordList',
  FltrWebhook: 'KeywordList',
} as const;

export type DeliverEventInput = {
  deliveryId: string;
  webhookId: string;
  /** Seconds of each wait before a retry; as it was when this run was started. */
  schedule: number[];
  /** Attempts that earlier runs have made: numbers go on from there. */
  attemptsBefore: number;
  /** Waits of the schedule that earlier runs have used; a manual retry starts with a fresh one. */
  retriesBefore: number;
  /** Whether the delivery was held before this run. */
  isRelease: boolean;
  /** Whether the first attempt is a local activity: cheaper, and for webhooks that are not known to hang. */
  isFirstLocal?: boolean;
  /** What a group's workflow that made the first attempt hands over. */
  handOver?: HandOver;
};

export type HandOver = {
  /** What came of the first attempt; null: it was not made, so this run makes it. */
  result: Exclude<AttemptResult, { next: 'end' | 'stop' | 'busy' }> | null;
  /** What the group was told of this delivery, in order. */
  signals: Told[];
};

export type DeliverEventResult = { status: 'delivered' | 'held' | 'canceled' };

/** Who asks: a key's id; whatever the Web UI sends is told as `temporal`. */
export type Asked = {
  by: string;
  /** Attempts that the asker had seen: a retry asked for after the last of them is not lost when the run is about to end. */
  attemptsSeen?: number;
};

/** A signal that a group's workflow was sent for one of its deliveries. */
export type Told = { at: string; name: SignalName; asked: Asked | Reschedule };
export type Steer = { deliveryId: string; name: SignalName; asked: Asked | Reschedule };

/** A new time for the next attempt, RFC 3339. */
export type Reschedule = Asked & { until: string };

export const signalNames = {
  retryNow: 'retryNow',
  cancel: 'cancel',
  settle: 'settle',
  reschedule: 'reschedule',
} as const;
export type SignalName = keyof typeof signalNames;
/** The one signal of a group's workflow: for one of its deliveries. */
export const steerSignalName = 'steer';
export const stateQueryName = 'state';

export type DeliveryState = {
  phase: 'attempting' | 'waiting' | 'ended';
  attempts: number;
  nextAttemptAt: string | null;
};

export type AttemptInput = {
  deliveryId: string;
  webhookId: string;
  number: number;
  /** The schedule's wait after this attempt; null: it is the last one. */
  scheduledSeconds: number | null;
  notes: StoredEntry[];
};

/** One attempt as histories tell it. */
export type AttemptFacts = {
  id: string;
  number: number;
  startedAt: string;
  durationMs: number;
  statusCode: number | null;
  outcome: AttemptOutcome;
  errorCode: AttemptErrorCode | null;
};

export type AttemptResult =
  | { next: 'end'; attempt: AttemptFacts }
  | { next: 'wait'; attempt: AttemptFacts; seconds: number }
  | { next: 'fail'; attempt: AttemptFacts; reason: FailureReason }
  /** No attempt yet: the hourly cap has room then. `at` is when it said so. */
  | { next: 'defer'; at: string; until: string; seconds: number }
  /** No attempt yet: as many requests to the webhook are under way as may be. Nothing is written. */
  | { next: 'busy'; seconds: number }
  /** No attempt was made: the delivery is held, canceled, or had ended before. */
  | { next: 'stop'; status: 'held' | 'canceled'; at: string; reason: string | null }
  | { next: 'stop'; status: 'ended' };

/** What a delivery's own workflow is started with. */
export type DeliveryFacts = {
  id: string;
  accountId: string;
  webhookId: string;
  eventId: string;
  eventType: string;
};

/** Deliveries that share a workflow for their first attempt. */
export type DeliverGroupInput = {
  deliveries: DeliveryFacts[];
  /** Those of them that were held before. */
  releasedIds?: string[];
  schedule: number[];
};
export type DeliverGroupResult = { delivered: number; handedOver: number; left: number };

export type AttemptGroupInput = {
  deliveries: Pick<DeliveryFacts, 'id' | 'webhookId'>[];
  releasedIds: string[];
  scheduledSeconds: number | null;
  /** When the run began, RFC 3339. */
  startedAt: string;
};
/** `result` null: the attempt was not made, so the delivery's own workflow makes it. */
export type GroupAttempt = {
  deliveryId: string;
  result: Exclude<AttemptResult, { next: 'busy' }> | null;
};
export type MarkHandedOverInput = { groupId: string; runs: { deliveryId: string; runId: string }[] };

export type RescheduleInput = { deliveryId: string; at: string; until: string; notes: StoredEntry[] };

export type SettleInput = {
  deliveryId: string;
  as: 'canceled' | 'as_row_says';
  reason: string | null;
  notes: StoredEntry[];
};
export type SettleResult =
  | { status: 'held' | 'canceled'; at: string; reason: string | null }
  | { status: 'ended' }
  | { status: 'goes_on' };

export type EvaluateInput = { after: string };
export type EvaluateResult = { next: string | null; disabled: number };

export type RecoverWebhookInput = { recoveryId: string; isPaused: boolean };
export type RecoverWebhookResult = { status: 'completed' | 'canceled' };
export const recoverySignalNames = { pause: 'pause', resume: 'resume', cancel: 'cancel' } as const;
export type RecoverySignal = keyof typeof recoverySignalNames;

export type RecoverPageInput = { recoveryId: string };
export type RecoverPageResult =
  | { next: 'page'; sent: number }
  /** Its webhook is not active: nothing can be sent until it is, and somebody resumes. */
  | { next: 'pause' }
  | { next: 'end'; status: 'completed' | 'canceled' };
export type SettleRecoveryInput = { recoveryId: string; status: 'running' | 'paused' | 'canceled' };

/** `step`: where to go on; null: at the first one. */
export type RemoveOldRowsInput = { step: string | null; removed: number };
export type RemoveOldRowsResult = { removed: number };
export type RemoveOldBatchInput = { step: string | null };
export type RemoveOldBatchResult = { removed: number; next: string | null };
