import type { WebhookFormat } from '../contracts/webhook-format.ts';
import type { AttemptRow } from '../domain/attempt-result.ts';
import { findDelivery } from './deliveries-table.ts';
import { storedResponse } from './payloads.ts';
import { withSnapshot, type Pool, type Queryable } from './pool.ts';

/** The request without its headers, which the log computes again. */
export type SentRequest = {
  url: string;
  format: WebhookFormat;
  bodyBytes: number;
  /** The settings of its headers; null: the defaults. */
  headersAs: string | null;
};
export type StoredResponse = { headers: Record<string, string>; body: Buffer; truncated: boolean };

export type StoredAttempt = AttemptRow & {
  request: SentRequest;
  response: StoredResponse | null;
  errorDetail: string | null;
};

/** Whether a delivery's attempt of this number is recorded. */
export async function isRecorded(
  db: Queryable,
  { deliveryId, number }: { deliveryId: string; number: number },
): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'is-recorded',
    text: 'select 1 from deliveries where id = $1 and attempt_count >= $2',
    values: [deliveryId, number],
  });
  return rowCount === 1;
}

export async function listAttempts(db: Queryable, deliveryId: string): Promise<StoredAttempt[]> {
  const { rows } = await db.query<
    Omit<StoredAttempt, 'request' | 'response'> &
      SentRequest & {
        headers: Record<string, string> | string | null;
        body: Buffer | null;
        truncated: boolean;
      }
  >(
    `select id, number, started_at as "startedAt", duration_ms as "durationMs", status_code as "statusCode", outcome,
       error_code as "errorCode", error_detail as "errorDetail", wait_seconds as "waitSeconds", url, format,
       body_bytes as "bodyBytes", headers_as as "headersAs", response_headers as headers, response_body as body, response_truncated as truncated
     from attempts where delivery_id = $1 order by number`,
    [deliveryId],
  );
  return rows.map(({ url, format, bodyBytes, headersAs, headers, body, truncated, ...attempt }) => {
    const response = storedResponse(db, { deliveryId, number: attempt.number }, { headers, body });
    return {
      ...attempt,
      request: { url, format, bodyBytes, headersAs },
      response: response && { ...response, truncated },
    };
  });
}

/** A delivery and its attempts, as of one moment. */
export function findDeliveryWithAttempts(pool: Pool, accountId: string, id: string) {
  return withSnapshot(pool, async (client) => {
    const delivery = await findDelivery(client, accountId, id);
    return delivery && { delivery, attempts: await listAttempts(client, id) };
  });
}
