import type { AttemptErrorCode, AttemptOutcome } from '../src/contracts/attempt.ts';
import type { FailureReason, WaitReason } from '../src/contracts/delivery.ts';
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
  /** Attempts that were made before this run: numbers go on from there. */
  attempts: number;
  /** Waits of the schedule that were used before this run. */
  retriesUsed: number;
  /** What the run begins with waiting for; null: it begins with an attempt. */
  wait: Wait | null;
  /** It goes on with what another run of this delivery began: a group's, or its own that grew too long. */
  continues: boolean;
  /** Whether the first attempt is a local activity: cheaper, and for webhooks that are not known to hang. */
  isFirstLocal: boolean;
};
/** `until`: RFC 3339. */
export type Wait = { until: string; reason: WaitReason };

export type DeliverEventResult = { status: 'delivered' | 'held' | 'canceled' | 'ended' };

export const signalNames = {
  /** Make the next attempt now. */
  retryNow: 'retryNow',
  cancel: 'cancel',
  /** Make the next attempt at another time. */
  reschedule: 'reschedule',
  /** Sent by the service after it changed the delivery's row: read it again. */
  wake: 'wake',
} as const;
export type SignalName = keyof typeof signalNames;

/** What a signal carries. */
export type SignalRequest = {
  /** The requester: a key's id. What the Web UI sends without one is shown as `temporal`. */
  by: string;
  /**
   * When it was requested, RFC 3339: a workflow task that is run again after its worker died has another time. The Web UI
   * sends none.
   */
  at?: string;
  /** Attempts that the requester had seen: a retry requested after the last of them is not lost when the run is about to end. */
  attemptsSeen?: number;
  /** The new time of the next attempt, RFC 3339. */
  until?: string;
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

export type AttemptInput = {
  deliveryId: string;
  webhookId: string;
  number: number;
  /** The schedule's wait after this attempt; null: it is the last one. */
  scheduledSeconds: number | null;
  /** `due`: its time has come. `requested`: somebody wants it now. `wake`: only if the row says that it is due. */
  trigger: AttemptTrigger;
  notes: StoredEntry[];
};
export type AttemptTrigger = 'due' | 'requested' | 'wake';

/** One attempt as histories have it. */
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
  /** No attempt yet: it waits until then. `at` is when this was decided. */
  | { next: 'defer'; at: string; until: string; reason: WaitReason }
  /** No attempt yet: there was no permit. Nothing is written. */
  | { next: 'busy'; seconds: number }
  /**
   * The run has nothing more to do. `attempt`: one that was under way when the delivery was stopped. `seconds`: the wait that
   * it began before that, if any.
   */
  | {
      next: 'stop';
      status: 'held' | 'canceled' | 'ended';
      attempt: AttemptFacts | null;
      seconds: number | null;
    };

/** What a delivery's own workflow is started with. */
export type DeliveryFacts = {
  id: string;
  accountId: string;
  webhookId: string;
  eventId: string;
  eventType: string;
};

/** Deliveries that share a workflow for their first attempt. */
export type DeliverGroupInput = { deliveries: DeliveryFacts[]; schedule: number[] };
export type DeliverGroupResult = { delivered: number; others: number };

export type AttemptGroupInput = {
  deliveries: Pick<DeliveryFacts, 'id' | 'webhookId'>[];
  scheduledSeconds: number | null;
  /** When the run began, RFC 3339. */
  startedAt: string;
};
/** `result` null: the attempt was not made, so the delivery's own workflow makes it. */
export type GroupAttempt = { deliveryId: string; result: Exclude<AttemptResult, { next: 'busy' }> | null };

/** Signals of a group that are for deliveries which go on in workflows of their own. */
export type PassOnInput = { signals: GroupSignal[] };

export type RescheduleInput = { deliveryId: string; at: string; until: string; notes: StoredEntry[] };

export type CancelInput = { deliveryId: string; notes: StoredEntry[] };
/** `ended`: it had ended before. */
export type CancelResult = { status: 'canceled'; at: string } | { status: 'ended' };

export type ArchiveInput = { deliveryId: string; entries: StoredEntry[] };

export type EvaluateInput = { after: string };
export type EvaluateResult = { next: string | null; disabled: number };

export type RecoverWebhookInput = { recoveryId: string; isPaused: boolean };
export type RecoverWebhookResult = { status: 'completed' | 'canceled' };
export const recoverySignalNames = { pause: 'pause', resume: 'resume', cancel: 'cancel' } as const;
export type RecoverySignal = keyof typeof recoverySignalNames;

export type RecoverPageInput = { recoveryId: string };
export type RecoverPageResult =
  | { next: 'page'; sent: number }
  /** Its webhook is not active: paused until the webhook is active and the recovery is resumed. */
  | { next: 'pause' }
  | { next: 'end'; status: 'completed' | 'canceled' };
export type SetRecoveryStatusInput = { recoveryId: string; status: 'running' | 'paused' | 'canceled' };

/** `step`: where to go on; null: at the first one. */
export type RemoveOldRowsInput = { step: string | null; removed: number };
export type RemoveOldRowsResult = { removed: number };
export type RemoveOldBatchInput = { step: string | null };
export type RemoveOldBatchResult = { removed: number; next: string | null };
