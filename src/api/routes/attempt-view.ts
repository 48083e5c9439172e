import type { Attempt } from '../../contracts/attempt-schema.ts';
import type { StoredAttempt } from '../../db/attempts.ts';
import { emailAddressesOf } from '../../domain/email-addresses.ts';
import { describeAttemptError } from '../../domain/outcome.ts';
import { storedHeaderStyle, unsignedHeaders } from '../../domain/request-headers.ts';
import { responseText } from '../response-text.ts';

type Sent = { eventId: string; eventType: string; traceparent?: string | null; isTest?: boolean };

/** An attempt as the API shows it: its request and its response. */
export async function toAttempt(attempt: Omit<StoredAttempt, 'waitSeconds'>, sent: Sent): Promise<Attempt> {
  const { errorCode, errorDetail, statusCode, request, response } = attempt;
  const { url, format, bodyBytes } = request;
  const style = storedHeaderStyle(request.headersAs);
  const isEmail = format === 'email';
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
    request: {
      method: isEmail ? 'EMAIL' : 'POST',
      url,
      headers: isEmail
        ? { To: (emailAddressesOf(url) ?? []).join(', ') }
        : unsignedHeaders({ ...sent, style, format, attemptId: attempt.id, at: attempt.startedAt }),
      signature_headers: isEmail ? [] : [...style.signatureHeaders],
      body_bytes: bodyBytes,
      format,
    },
    response: response && { headers: response.headers, ...(await responseText(response)) },
  };
}
