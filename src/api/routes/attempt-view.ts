import type { Attempt } from '../../contracts/attempt.ts';
import type { StoredAttempt } from '../../db/attempts.ts';
import { describeAttemptError } from '../../domain/outcome.ts';
import { unsignedHeaders } from '../../domain/request-headers.ts';

type Sent = { eventId: string; eventType: string; traceparent?: string | null; isTest?: boolean };

/** An attempt as the API shows it: what was sent, and what came back. */
export function toAttempt(attempt: Omit<StoredAttempt, 'waitSeconds'>, sent: Sent): Attempt {
  const { errorCode, errorDetail, statusCode, response } = attempt;
  const headers = unsignedHeaders({ ...sent, attemptId: attempt.id, at: attempt.startedAt });
  return {
    id: attempt.id,
    number: attempt.number,
    started_at: attempt.startedAt.toISOString(),
    duration_ms: attempt.durationMs,
    status_code: statusCode,
    outcome: attempt.outcome,
    error:
      errorCode === null
        ? null
        : { code: errorCode, message: describeAttemptError(errorCode, statusCode, errorDetail) },
    request: { method: 'POST', headers },
    response: response && {
      headers: response.headers,
      body: response.body.toString('utf8'),
      truncated: response.truncated,
    },
  };
}
