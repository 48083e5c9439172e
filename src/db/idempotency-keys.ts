import { withTransaction, type Client, type Pool, type Queryable } from './pool.ts';

type Box = { seal(plain: string, context: string): string; open(sealed: string, context: string): string };
type Response<Body> = { status: number; body: Body };
type Request = {
  apiKeyId: string;
  /** The account that the key acts for; empty: a service key that names it in the body. */
  accountId: string;
  route: string;
  key: string;
  digest: Buffer;
  /** Whose secret the response holds: it is wiped with the webhook. */
  webhookId?: string;
};
/** For a response that may be large: the part of its body that is stored, and the body again from that part. */
export type Keeping<Body> = {
  toKept(body: Body): unknown;
  fromKept(db: Queryable, kept: unknown): Promise<Body>;
};

export type OnceForKey<Body> =
  | { kind: 'response'; response: Response<Body>; isReplay: boolean }
  /** The key came with another body before. */
  | { kind: 'key_reused' }
  /** The response held the secret of a webhook that was deleted since. */
  | { kind: 'webhook_deleted' };

/** The context that a stored response is sealed with. */
export const responseContext = (accountId: string, apiKeyId: string, route: string, key: string) =>
  `idempotency:${accountId}:${apiKeyId}:${route}:${key}`;

/**
 * Runs a creating request once for each Idempotency-Key, for 24 hours: key, creation and response are one transaction, so
 * a second call waits for the first one and gets the same response. Like all that a transaction runs, `run` may be run again.
 */
export async function onceForKey<Body>(
  pool: Pool,
  box: Box,
  request: Request,
  run: (client: Client) => Promise<Response<Body>>,
  keeping?: Keeping<Body>,
): Promise<OnceForKey<Body>> {
  const { accountId, apiKeyId, route, key, digest, webhookId } = request;
  const context = responseContext(accountId, apiKeyId, route, key);
  return withTransaction(pool, async (client) => {
    const claimed = await client.query(
      `insert into idempotency_keys (account_id, api_key_id, route, key, request_digest, webhook_id) values ($1, $2, $3, $4, $5, $6)
       on conflict (account_id, api_key_id, route, key) do update
         set request_digest = excluded.request_digest, sealed_response = null, webhook_id = excluded.webhook_id,
           created_at = now()
         where idempotency_keys.created_at < now() - interval '24 hours'`,
      [accountId, apiKeyId, route, key, digest, webhookId ?? null],
    );
    if (claimed.rowCount === 1) {
      const response = await run(client);
      const kept = keeping ? { ...response, body: keeping.toKept(response.body) } : response;
      await client.query(
        `update idempotency_keys set sealed_response = $5
         where account_id = $1 and api_key_id = $2 and route = $3 and key = $4`,
        [accountId, apiKeyId, route, key, box.seal(JSON.stringify(kept), context)],
      );
      return { kind: 'response', response, isReplay: false };
    }
    const { rows } = await client.query<{ digest: Buffer; sealed: string | null }>(
      `select request_digest as digest, sealed_response as sealed from idempotency_keys
       where account_id = $1 and api_key_id = $2 and route = $3 and key = $4`,
      [accountId, apiKeyId, route, key],
    );
    const [stored] = rows;
    // The insert has locked the row that it conflicts with.
    if (!stored) throw new Error('The row of an Idempotency-Key is missing');
    if (!stored.digest.equals(digest)) return { kind: 'key_reused' };
    if (stored.sealed === null) return { kind: 'webhook_deleted' };
    const kept = JSON.parse(box.open(stored.sealed, context)) as Response<Body>;
    const response = keeping ? { ...kept, body: await keeping.fromKept(client, kept.body) } : kept;
    return { kind: 'response', response, isReplay: true };
  });
}

/** Wipes the responses that hold the secret of a webhook: part of deleting it. */
export async function wipeResponsesOf(client: Client, webhookId: string): Promise<void> {
  await client.query(`update idempotency_keys set sealed_response = null where webhook_id = $1`, [webhookId]);
}
