import { Histogram, type Registry } from 'prom-client';
import {
  attemptErrorCodes,
  attemptOutcomes,
  type AttemptErrorCode,
  type AttemptOutcome,
} from '../contracts/attempt.ts';
import { failureReasons, type FailureReason } from '../contracts/delivery.ts';
import { counter, counterBy, histogramBy, type Count } from './instruments.ts';

export type AttemptMade = {
  outcome: AttemptOutcome;
  errorCode: AttemptErrorCode | null;
  /** Why it ended its delivery failed; null: it did not. */
  reason: FailureReason | null;
  durationMs: number;
  /** From the delivery's acceptance to this attempt's end. */
  sinceAcceptedMs: number;
};

export type DeliveryMetrics = {
  attempted(made: AttemptMade): void;
  /** Attempts that the hourly cap deferred. */
  deferred: Count;
  /** Deliveries that were held for too long. */
  expired: Count;
  /** A workflow that this process started: a delivery's own, or a group's. */
  started(kind: 'own' | 'group'): void;
  /** Deliveries that the reconciler checked or started. */
  reconciled: Count;
  /** Webhooks that were disabled for their failures. */
  disabled: Count;
};

/** An attempt may take 5 s. */
const attemptBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** From 5 ms to an hour: a first attempt, and each retry of the default schedule. */
const latencyBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600,
];

export function createDeliveryMetrics(registry: Registry): DeliveryMetrics {
  const attempts = counterBy({
    registry,
    name: 'fltr_attempts_total',
    help: 'Attempts by outcome: delivered, retried, or failed.',
    label: 'outcome',
    values: attemptOutcomes,
  });
  const errors = counterBy({
    registry,
    name: 'fltr_attempt_errors_total',
    help: 'Attempts that did not deliver, by error code.',
    label: 'code',
    values: attemptErrorCodes,
  });
  const durations = histogramBy({
    registry,
    name: 'fltr_attempt_duration_seconds',
    help: 'Duration of attempts, including DNS lookup and connecting.',
    label: 'outcome',
    values: attemptOutcomes,
    buckets: attemptBuckets,
  });
  const latency = new Histogram({
    name: 'fltr_delivery_latency_seconds',
    help: 'Time from the acceptance of a delivery to the end of the attempt that delivered it.',
    buckets: latencyBuckets,
    registers: [registry],
  });
  const failed = counterBy({
    registry,
    name: 'fltr_deliveries_failed_total',
    help: 'Deliveries that ended failed.',
    label: 'reason',
    values: [...failureReasons, 'expired'],
  });
  return {
    attempted({ outcome, errorCode, reason, durationMs, sinceAcceptedMs }) {
      attempts(outcome);
      durations(outcome, durationMs / 1000);
      if (errorCode !== null) errors(errorCode);
      if (reason !== null) failed(reason);
      // The clocks of two machines can differ.
      if (outcome === 'delivered') latency.observe(Math.max(0, sinceAcceptedMs) / 1000);
    },
    deferred: counter({
      registry,
      name: 'fltr_deliveries_deferred_total',
      help: 'Attempts that the hourly cap deferred.',
    }),
    expired: (count) => failed('expired', count),
    started: counterBy({
      registry,
      name: 'fltr_workflows_started_total',
      help: "Workflows that this process started: a delivery's own, or a group's.",
      label: 'kind',
      values: ['own', 'group'],
    }),
    reconciled: counter({
      registry,
      name: 'fltr_deliveries_reconciled_total',
      help: 'Deliveries that the reconciler checked or started.',
    }),
    disabled: counter({
      registry,
      name: 'fltr_webhooks_disabled_total',
      help: 'Webhooks that were disabled because too many of their deliveries failed.',
    }),
  };
}
