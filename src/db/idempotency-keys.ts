import { ApiError } from '../errors.ts';
import { withTransaction, type Client, type Pool, type Queryable } from './pool.ts';

type Box = { seal(plain: string, context: string): string; open(sealed: string, context: string): string };
type Answer = { status: number; body: unknown };
type Request = {
  apiKeyId: string;
  route: string;
  key: string;
  digest: Buffer;
  /** Whose secret the response holds: it is wiped with the webhook. */
  webhookId?: string;
};
/** For a response that may be large: what is kept of its body, and the body again of what was kept. */
type Keeping = {
  toKept(body: unknown): unknown;
  fromKept(db: Queryable, kept: unknown): Promise<unknown>;
};

const wholeBody: Keeping = { toKept: (body) => body, fromKept: (_db, kept) => Promise.resolve(kept) };

/** What an answer is bound to when it is sealed. */
export const answerContext = (apiKeyId: string, route: string, key: string) =>
  `idempotency:${apiKeyId}:${route}:${key}`;

/**
 * Runs a creating request once for each Idempotency-Key, for 24 hours: key, creation and answer are one transaction, so
 * a second call waits for the first one and gets the same answer. Like all that a transaction runs, `run` may be run again.
 *
 * @throws ApiError idempotency_key_reused when the key came with another body before; webhook_deleted
 */
export async function onceForKey(
  pool: Pool,
  box: Box,
  request: Request,
  run: (client: Client) => Promise<Answer>,
  { toKept, fromKept }: Keeping = wholeBody,
): Promise<Answer & { isReplay: boolean }> {
  const { apiKeyId, route, key, digest, webhookId } = request;
  const context = answerContext(apiKeyId, route, key);
  return withTransaction(pool, async (client) => {
    const claimed = await client.query(
      `insert into idempotency_keys (api_key_id, route, key, request_digest, webhook_id) values ($1, $2, $3, $4, $5)
       on conflict (api_key_id, route, key) do update
         set request_digest = excluded.request_digest, sealed_response = null, webhook_id = excluded.webhook_id,
           created_at = now()
         where idempotency_keys.created_at < now() - interval '24 hours'`,
      [apiKeyId, route, key, digest, webhookId ?? null],
    );
    if (claimed.rowCount === 1) {
      const answer = await run(client);
      const kept = { ...answer, body: toKept(answer.body) };
      await client.query(
        `update idempotency_keys set sealed_response = $4 where api_key_id = $1 and route = $2 and key = $3`,
        [apiKeyId, route, key, box.seal(JSON.stringify(kept), context)],
      );
      return { ...answer, isReplay: false };
    }
    const { rows } = await client.query<{ digest: Buffer; sealed: string | null }>(
      `select request_digest as digest, sealed_response as sealed from idempotency_keys
       where api_key_id = $1 and route = $2 and key = $3`,
      [apiKeyId, route, key],
    );
    const [stored] = rows;
    if (!stored)
      throw new ApiError('unavailable', 'Please send the request again.', { retryAfterSeconds: 1 });
    if (!stored.digest.equals(digest)) {
      throw new ApiError(
        'idempotency_key_reused',
        'This Idempotency-Key came with another body before. Use a new key for a new request.',
        { errors: [{ pointer: '#header/Idempotency-Key', message: 'belongs to another request' }] },
      );
    }
    if (stored.sealed === null) {
      throw new ApiError(
        'webhook_deleted',
        'The webhook that this Idempotency-Key stands for was deleted. Use a new key for a new request.',
      );
    }
    const kept = JSON.parse(box.open(stored.sealed, context)) as Answer;
    return { ...kept, body: await fromKept(client, kept.body), isReplay: true };
  });
}

/** Wipes the responses that hold the secret of a webhook: part of deleting it. */
export async function wipeResponsesOf(client: Client, webhookId: string): Promise<void> {
  await client.query(`update idempotency_keys set sealed_response = null where webhook_id = $1`, [webhookId]);
}
