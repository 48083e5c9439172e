import type { Webhook } from '../../contracts/webhook.ts';
import type { ApiKey } from '../../db/api-keys-table.ts';
import { findWebhook, type WebhookRow } from '../../db/webhooks-table.ts';
import type { Deps } from '../../deps.ts';
import { isOverlap, isSecretDue } from '../../domain/signing-secrets.ts';
import { accountOf } from '../auth.ts';
import { requireFound } from '../problem-details.ts';
import { toPolicy } from './webhook-policy-view.ts';

/** A webhook as the API shows it. */
export function toWebhook(row: WebhookRow): Webhook {
  const now = new Date();
  const until = row.previousSecretUntil;
  return {
    webhook_id: row.id,
    url: row.url,
    events: row.events,
    created_at: row.createdAt.toISOString(),
    active: row.active,
    description: row.description,
    format: row.format,
    external_id: row.externalId,
    metadata: row.metadata,
    warning: row.warnedAt !== null,
    auto_disabled:
      row.disabledAt === null || row.active
        ? null
        : {
            at: row.disabledAt.toISOString(),
            reason: row.disabledReason ?? 'failure_rate',
            failure_rate: (row.disabledFailed ?? 0) / Math.max(1, row.disabledEnded ?? 0),
            ended: row.disabledEnded ?? 0,
            failed: row.disabledFailed ?? 0,
          },
    secret_created_at: row.secretCreatedAt.toISOString(),
    secret_due: row.format !== 'email' && isSecretDue(row.secretCreatedAt, now),
    previous_secret_until: isOverlap(until, now) ? until.toISOString() : null,
    ...toPolicy(row),
    updated_at: row.updatedAt.toISOString(),
  };
}

/** @throws ApiError not_found */
export async function requireWebhook({ pool }: Deps, key: ApiKey, id: string): Promise<WebhookRow> {
  return requireFound(await findWebhook(pool, accountOf(key), id), 'webhook');
}
