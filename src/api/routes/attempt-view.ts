import type { Attempt } from '../../contracts/attempt.ts';
import type { StoredAttempt } from '../../db/attempts.ts';
import { describeAttemptError } from '../../domain/outcome.ts';

/** An attempt as the API shows it. */
export function toAttempt(attempt: Omit<StoredAttempt, 'waitSeconds'>): Attempt {
  const { errorCode, statusCode, response } = attempt;
  return {
    id: attempt.id,
    number: attempt.number,
    started_at: attempt.startedAt.toISOString(),
    duration_ms: attempt.durationMs,
    status_code: statusCode,
    outcome: attempt.outcome,
    error:
      errorCode === null ? null : { code: errorCode, message: describeAttemptError(errorCode, statusCode) },
    response: response && {
      headers: response.headers,
      body: response.body.toString('utf8'),
      truncated: response.truncated,
    },
  };
}
