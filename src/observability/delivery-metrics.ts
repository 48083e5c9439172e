import { Histogram, type Registry } from 'prom-client';
import {
  attemptErrorCodes,
  attemptOutcomes,
  type AttemptErrorCode,
  type AttemptOutcome,
} from '../contracts/attempt-schema.ts';
import { failureReasons, type FailureReason } from '../contracts/delivery.ts';
import { instrumentsOf } from './instruments.ts';

type AttemptMade = {
  outcome: AttemptOutcome;
  errorCode: AttemptErrorCode | null;
  /** It tested a webhook that was down. */
  isProbe?: boolean | undefined;
  /** Why it ended its delivery failed; null: it did not. */
  reason: FailureReason | null;
  durationMs: number;
  /** From the delivery's acceptance to this attempt's end. */
  sinceAcceptedMs: number;
};

export type DeliveryMetrics = ReturnType<typeof createDeliveryMetrics>;

/** An attempt may take 5 s. */
const attemptBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** From 5 ms to an hour: a first attempt, and each retry of the default schedule. */
const latencyBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600,
];

export function createDeliveryMetrics(registry: Registry) {
  const { counter, counterBy, histogramBy } = instrumentsOf(registry);
  const attempts = counterBy('fltr_attempts_total', 'Attempts by outcome: delivered, retried, or failed.', {
    outcome: attemptOutcomes,
  });
  const errors = counterBy('fltr_attempt_errors_total', 'Attempts that did not deliver, by error code.', {
    code: attemptErrorCodes,
  });
  const durations = histogramBy(
    'fltr_attempt_duration_seconds',
    'Duration of attempts, including DNS lookup and connecting.',
    { outcome: attemptOutcomes },
    attemptBuckets,
  );
  const latency = new Histogram({
    name: 'fltr_delivery_latency_seconds',
    help: 'Time from the acceptance of a delivery to the end of the attempt that delivered it.',
    buckets: latencyBuckets,
    registers: [registry],
  });
  const probes = counterBy(
    'fltr_probes_total',
    'Attempts that tested a webhook that was down, or had just recovered, by outcome.',
    { outcome: attemptOutcomes },
  );
  const failed = counterBy('fltr_deliveries_failed_total', 'Deliveries that ended failed.', {
    reason: [...failureReasons, 'expired'],
  });
  return {
    attempted({ outcome, errorCode, isProbe, reason, durationMs, sinceAcceptedMs }: AttemptMade): void {
      attempts(outcome);
      if (isProbe) probes(outcome);
      durations(outcome, durationMs / 1000);
      if (errorCode !== null) errors(errorCode);
      if (reason !== null) failed(reason);
      // The clocks of two machines can differ.
      if (outcome === 'delivered') latency.observe(Math.max(0, sinceAcceptedMs) / 1000);
    },
    deferred: counter('fltr_deliveries_deferred_total', 'Attempts that the hourly cap deferred.'),
    /** Deliveries that were held for too long. */
    expired: (count?: number) => failed('expired', count),
    started: counterBy(
      'fltr_workflows_started_total',
      "Workflows that this process started: a delivery's own, or a group's.",
      { kind: ['own', 'group'] },
    ),
    reconciled: counter(
      'fltr_deliveries_reconciled_total',
      'Deliveries that the reconciler checked or started.',
    ),
    disabled: counter(
      'fltr_webhooks_disabled_total',
      'Webhooks that were disabled because too many of their deliveries failed.',
    ),
  };
}
