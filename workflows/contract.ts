import type { AttemptErrorCode, AttemptOutcome } from '../src/contracts/attempt.ts';
import type { FailureReason, TimelineEntry } from '../src/contracts/delivery.ts';

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
};

export type DeliverEventResult = { status: 'delivered' | 'held' | 'canceled' };

/** Who asks: a key's id; whatever the Web UI sends is told as `temporal`. */
export type Asked = {
  by: string;
  /** Attempts that the asker had seen: a retry asked for after the last of them is not lost when the run is about to end. */
  attemptsSeen?: number;
};

/** A new time for the next attempt, RFC 3339. */
export type Reschedule = Asked & { until: string };

export const signalNames = {
  retryNow: 'retryNow',
  cancel: 'cancel',
  settle: 'settle',
  reschedule: 'reschedule',
} as const;
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
  notes: TimelineEntry[];
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

export type RescheduleInput = { deliveryId: string; at: string; until: string; notes: TimelineEntry[] };

export type SettleInput = {
  deliveryId: string;
  as: 'canceled' | 'as_row_says';
  reason: string | null;
  notes: TimelineEntry[];
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
