import type { Client, Queryable } from './pool.ts';
import { webhookColumns, type WebhookRow } from './webhooks-table.ts';

type Rotation = {
  accountId: string;
  webhookId: string;
  sealedSecret: string;
  /** Replaces the ed25519 key, where the webhook has one. */
  sealedSigningKey: string;
  overlapSeconds: number;
  /** Whether the new secret is this one. */
  isSame(sealedSecret: string): boolean;
  /** Whether to rotate even if an overlap has not ended. */
  endsOverlap: boolean;
};

/**
 * Makes the current secret the previous one, and so the ed25519 key. Where an overlap has not ended and `endsOverlap` is false, or the secret is the
 * same, nothing changes. Null: there is no such webhook.
 */
export async function rotateSecret(
  db: Client,
  { accountId, webhookId, sealedSecret, sealedSigningKey, overlapSeconds, endsOverlap, isSame }: Rotation,
): Promise<{ overlapUntil: Date } | { webhook: WebhookRow } | 'same_secret' | null> {
  // Locked, so that of two concurrent calls the second one sees the overlap of the first.
  const { rows: found } = await db.query<{ overlapUntil: Date | null; current: string }>(
    `select sealed_secret as current, case when previous_secret_until > now() then previous_secret_until end as "overlapUntil" from webhooks
     where id = $1 and account_id = $2 and deleted_at is null for update`,
    [webhookId, accountId],
  );
  const [locked] = found;
  if (!locked) return null;
  if (isSame(locked.current)) return 'same_secret';
  const { overlapUntil } = locked;
  if (overlapUntil && !endsOverlap) return { overlapUntil };
  const { rows } = await db.query<WebhookRow>(
    `update webhooks set
       previous_sealed_secret = case when $4 > 0 then sealed_secret end,
       previous_secret_until = case when $4 > 0 then now() + make_interval(secs => $4) end,
       previous_sealed_signing_key = case when $4 > 0 then sealed_signing_key end,
       sealed_signing_key = case when sealed_signing_key is not null then $5 end,
       sealed_secret = $3, secret_created_at = now(), updated_at = now()
     where id = $1 and account_id = $2 and deleted_at is null returning ${webhookColumns}`,
    [webhookId, accountId, sealedSecret, overlapSeconds, sealedSigningKey],
  );
  return rows[0] ? { webhook: rows[0] } : null;
}

/** Wipes the previous secret and key. `hasEnded`: it signed until now. Null: there is no such webhook. */
export async function endOverlap(db: Queryable, accountId: string, webhookId: string) {
  const { rows } = await db.query<WebhookRow & { hasEnded: boolean }>(
    `update webhooks set previous_sealed_secret = null, previous_secret_until = null, previous_sealed_signing_key = null,
       updated_at = case when was_running then now() else updated_at end
     from (
       select id as found_id, coalesce(previous_secret_until > now(), false) as was_running from webhooks
       where id = $1 and account_id = $2 and deleted_at is null for update
     ) as found
     where id = found_id returning ${webhookColumns}, was_running as "hasEnded"`,
    [webhookId, accountId],
  );
  return rows[0] ?? null;
}
