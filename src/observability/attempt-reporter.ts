import type { Logger } from 'pino';
import type { FailureReason } from '../contracts/delivery.ts';
import type { AttemptRow } from '../domain/attempt-result.ts';
import { timeOfId } from '../domain/ids.ts';
import { traceIdOf } from '../domain/traceparent.ts';
import type { DeliveryMetrics } from './delivery-metrics.ts';

type Made = {
  context: {
    deliveryId: string;
    eventId: string;
    eventType: string;
    webhookId: string;
    accountId: string;
    deliverAt: Date | null;
    traceparent: string | null;
  };
  row: AttemptRow;
  /** Why the attempt ended its delivery failed; null: it did not. */
  reason: FailureReason | null;
};

/** Counts every attempt and logs it: at `info` if it ended its delivery failed, else at `debug`. */
export function createAttemptReporter(metrics: DeliveryMetrics, log: Logger): (made: Made) => void {
  return ({ context, row, reason }) => {
    const { deliveryId, eventId, eventType, webhookId, accountId, deliverAt, traceparent } = context;
    const { outcome, errorCode, durationMs, isProbe } = row;
    const endedAtMs = row.startedAt.getTime() + durationMs;
    // A scheduled one is late from its time on. Sent by hand before that, it is not.
    const dueAtMs = Math.max(timeOfId(deliveryId).getTime(), deliverAt?.getTime() ?? 0);
    const sinceAcceptedMs = Math.max(0, endedAtMs - dueAtMs);
    metrics.attempted({ outcome, errorCode, isProbe, reason, durationMs, sinceAcceptedMs });
    const level = reason === null ? 'debug' : 'info';
    if (!log.isLevelEnabled(level)) return;
    log[level](
      {
        account: accountId,
        event: eventId,
        type: eventType,
        webhook: webhookId,
        delivery: deliveryId,
        attempt: row.id,
        number: row.number,
        outcome,
        status: row.statusCode,
        code: errorCode,
        ms: durationMs,
        ...(traceparent === null ? {} : { trace_id: traceIdOf(traceparent) }),
        ...(reason === null ? { wait_seconds: row.waitSeconds } : { reason }),
      },
      reason === null ? 'attempt' : 'delivery failed',
    );
  };
}
