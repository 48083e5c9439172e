import { externalIdSchema } from '../contracts/external-id.ts';
import { idPattern } from '../contracts/id.ts';
import type { ApiKey } from '../db/api-keys-table.ts';
import { findWebhookId } from '../db/webhooks-table.ts';
import type { Deps } from '../deps.ts';
import { accountOf } from './auth.ts';
import { requireFound } from './problem-details.ts';

/**
 * The id of the webhook that a call names by its id or its external id. An id is returned unchanged, whether or not the
 * webhook exists: the call itself finds that out.
 *
 * @throws ApiError not_found for an external id that no webhook of the account has
 */
export async function webhookIdOf({ pool }: Pick<Deps, 'pool'>, key: ApiKey, name: string): Promise<string> {
  if (name.startsWith('wh_') && idPattern.test(name)) return name;
  // Text that is no external id either must not reach the database, which cannot store a NUL.
  const isExternal = externalIdSchema.safeParse(name).success;
  const found = isExternal ? await findWebhookId(pool, accountOf(key), name) : null;
  return requireFound(found, 'webhook');
}
