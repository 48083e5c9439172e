import { ensureAccount } from '../src/db/accounts.ts';
import { newId } from '../src/domain/ids.ts';
import { insertApiKey } from '../src/db/api-keys-table.ts';
import type { Pool } from '../src/db/pool.ts';
import { digestOfKey, hintOfKey, newApiKey, accountScopes } from '../src/security/api-keys.ts';
import { pathOf, type Manner } from './receiver.ts';

async function newKey(pool: Pool, name: string, accountId: string | null): Promise<string> {
  const key = newApiKey();
  await insertApiKey(pool, {
    accountId,
    name,
    hint: hintOfKey(key),
    digest: digestOfKey(key),
    scopes: accountScopes,
  });
  return key;
}

export type AccountKey = { accountId: string; key: string };

export async function newAccountKey(pool: Pool, name: string): Promise<AccountKey> {
  const accountId = newId('acc');
  await ensureAccount(pool, accountId, name);
  return { accountId, key: await newKey(pool, name, accountId) };
}

/** Valid for every account. */
export const newServiceKey = (pool: Pool, name: string): Promise<string> => newKey(pool, name, null);

export type Target = AccountKey & { webhookId: string; manner: Manner };

/** Accounts with a key and a webhook each; `mannerOf` says how its receiver behaves. */
export async function newTargets(
  pool: Pool,
  apiUrl: string,
  receiverUrl: string,
  count: number,
  mannerOf: (number: number) => Manner,
  events: readonly string[] = ['*'],
): Promise<Target[]> {
  const targets: Target[] = [];
  for (let number = 0; number < count; number += 1) {
    const account = await newAccountKey(pool, 'bench');
    const manner = mannerOf(number);
    const { webhook_id: webhookId } = await callApi<{ webhook_id: string }>(
      apiUrl,
      account.key,
      'POST',
      '/v1/webhooks',
      { url: receiverUrl + pathOf[manner], events },
    );
    targets.push({ ...account, webhookId, manner });
  }
  return targets;
}

/** An event type of its own for the load, with a schema of the data that the load sends, and 19 others. */
export async function defineEventTypes(pool: Pool, apiUrl: string): Promise<string[]> {
  const key = newApiKey();
  const scopes = ['event-types:write'];
  const more = { accountId: null, name: 'bench', hint: hintOfKey(key), digest: digestOfKey(key) };
  await insertApiKey(pool, { ...more, scopes });
  const text = { type: 'string', minLength: 1, maxLength: 200, pattern: '^[a-z0-9_]+$' };
  const schema = {
    type: 'object',
    required: ['document_id', 'dataset_id'],
    properties: { document_id: text, dataset_id: text, metadata: { type: 'object' } },
    additionalProperties: false,
  };
  const names = Array.from({ length: 20 }, (_, number) => `bench.type${number}`);
  for (const name of names)
    await callApi(apiUrl, key, 'PUT', `/v1/event-types/${name}`, { description: '', schema });
  return names;
}

/** @throws where the response is not a success */
export async function callApi<T>(
  apiUrl: string,
  key: string,
  method: string,
  path: string,
  body: unknown,
): Promise<T> {
  const response = await fetch(apiUrl + path, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}
