import { onceForKey, type Keeping } from '../db/idempotency-keys.ts';
import { withTransaction, type Client } from '../db/pool.ts';
import { ApiError } from '../errors.ts';
import { fault } from './problem-details.ts';
import { digestOf } from './request-body.ts';
import type { Context } from './route.ts';

type Options<Body> = {
  /** Idempotency keys are separate for each API key and route. */
  route: string;
  /** Whose secret the response holds. */
  webhookId?: string;
  keeping?: Keeping<Body>;
};

/**
 * Runs a creating request in a transaction. With an Idempotency-Key it runs once in 24 hours, and later calls get the stored
 * response.
 *
 * @throws ApiError idempotency_key_reused, webhook_deleted
 */
export async function respondOnce<Body>(
  { deps: { pool, secretBox }, key, idempotencyKey, rawBody }: Context<unknown, unknown>,
  { keeping, ...options }: Options<Body>,
  run: (client: Client) => Promise<{ status: number; body: Body }>,
): Promise<{ status: number; body: Body; isReplay: boolean }> {
  if (idempotencyKey === undefined) return { ...(await withTransaction(pool, run)), isReplay: false };
  const request = {
    ...options,
    apiKeyId: key.id,
    accountId: key.accountId ?? '',
    key: idempotencyKey,
    digest: digestOf(rawBody),
  };
  const result = await onceForKey(pool, secretBox, request, run, keeping);
  switch (result.kind) {
    case 'response':
      return { ...result.response, isReplay: result.isReplay };
    case 'key_reused':
      throw new ApiError(
        'idempotency_key_reused',
        'This Idempotency-Key was used before with another body. Use a new key for a new request.',
        { errors: [fault('#header/Idempotency-Key', 'belongs to another request')] },
      );
    case 'webhook_deleted':
      throw new ApiError(
        'webhook_deleted',
        'The webhook of this Idempotency-Key was deleted. Use a new key for a new request.',
      );
  }
}
