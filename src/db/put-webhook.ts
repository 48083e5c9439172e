import type { WebhookChange } from '../contracts/webhook.ts';
import { withTransaction, type Client, type Pool } from './pool.ts';
import type { PolicyToWrite } from './webhook-policy.ts';
import { syncDeliveries } from './sync-deliveries.ts';
import {
  changeWebhook,
  findWebhookForUpdate,
  findWebhookId,
  insertWebhook,
  lockAccount,
  type NewWebhook,
  type Refusal,
  type WebhookRow,
} from './webhooks-table.ts';

type Put = {
  webhook: NewWebhook & { externalId: string };
  /** The change of the webhook that already has the external id. */
  replacement: WebhookChange & PolicyToWrite;
  /** Where the account has no limit of its own. */
  defaultMax: number;
  /** Throws where that webhook must not be changed. */
  requireReplaceable(row: WebhookRow): void;
  /** Runs first in the transaction. */
  check(client: Client): Promise<void>;
  /** Runs last in it. `before`: the webhook that was replaced. */
  record(client: Client, row: WebhookRow, before: WebhookRow | null): Promise<void>;
};
type Done = { row: WebhookRow; isNew: boolean; isChanged: boolean };

/** Of calls that create, delete and rename all at once, each makes at most one other start again. */
const mostRuns = 10;

/** Inserts the webhook, or replaces the one with its external id, and syncs its deliveries as far as a call does that. */
export async function putWebhook(pool: Pool, put: Put): Promise<Done | Refusal> {
  for (let run = 1; ; run += 1) {
    const done = await withTransaction(pool, async (client) => {
      await put.check(client);
      return (await replace(client, put)) ?? insert(client, put);
    });
    // Another call inserted it after the look-up.
    if (done === 'external_id_taken' && run < mostRuns) continue;
    if (typeof done !== 'string' && !('limit' in done) && done.isChanged)
      await syncDeliveries(pool, done.row.id);
    return done;
  }
}

async function replace(client: Client, put: Put): Promise<Done | null> {
  const { webhook, replacement, requireReplaceable, record } = put;
  const { accountId, externalId } = webhook;
  const found = await findWebhookForUpdate(client, accountId, externalId);
  if (!found) return null;
  requireReplaceable(found);
  const changed = await changeWebhook(client, accountId, found.id, replacement);
  if (!changed) return null;
  await record(client, changed.row, found);
  return { ...changed, isNew: false };
}

/** Does not replace the one that was inserted meanwhile: a change locks the webhook first, then the account. */
async function insert(client: Client, { webhook, defaultMax, record }: Put): Promise<Done | Refusal> {
  const { accountId, externalId } = webhook;
  await lockAccount(client, accountId, defaultMax);
  // Before the webhooks are counted: the one that was inserted meanwhile may be the last.
  if (await findWebhookId(client, accountId, externalId)) return 'external_id_taken';
  const inserted = await insertWebhook(client, webhook, defaultMax);
  if (typeof inserted === 'string' || 'limit' in inserted) return inserted;
  await record(client, inserted, null);
  return { row: inserted, isNew: true, isChanged: false };
}
