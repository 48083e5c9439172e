import { z } from 'zod';
import {
  accountScopes,
  createdKeySchema,
  createKeySchema,
  keySchema,
  type Key,
} from '../../contracts/key.ts';
import { idPattern } from '../../contracts/id.ts';
import { pageOf, pageQuery } from '../../contracts/page.ts';
import {
  insertAccountKey,
  listAccountKeys,
  maxValidKeys,
  revokeAccountKey,
  type ApiKey,
  type ApiKeyRow,
} from '../../db/api-keys-table.ts';
import { withTransaction } from '../../db/pool.ts';
import { ApiError } from '../../errors.ts';
import { digestOfKey, hintOfKey, newApiKey } from '../../security/api-keys.ts';
import { accountOf, audit, noSuchAccount } from '../auth.ts';
import { fromCursor, toPage } from '../cursor.ts';
import { requireFound } from '../problem-details.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Keys');

function toKey(row: ApiKeyRow, caller: ApiKey): Key {
  return {
    id: row.id,
    name: row.name,
    hint: row.hint,
    scopes: accountScopes.filter((scope) => row.scopes.includes(scope)),
    created_at: row.createdAt.toISOString(),
    revoked_at: row.revokedAt?.toISOString() ?? null,
    last_used_at: row.lastUsedAt?.toISOString() ?? null,
    is_current: row.id === caller.id,
  };
}

/** A key gives and revokes only scopes that it has itself. @throws ApiError missing_scope */
export function requireScopesOf(caller: ApiKey, needed: readonly string[], rule: string): void {
  const missing = needed.filter((scope) => !caller.scopes.includes(scope));
  if (missing.length > 0)
    throw new ApiError('missing_scope', `${rule}. This one lacks ${missing.join(', ')}.`);
}

export const keyRoutes = [
  defineRoute('get', '/v1/keys', 'listKeys', {
    summary: "List the account's API keys, newest first, including revoked ones",
    scope: 'webhooks:read',
    query: z.strictObject(pageQuery),
    replies: { 200: { description: 'A page of keys', schema: pageOf(keySchema, 'KeyPage') } },
    async handle({ deps, key, query }) {
      const [before = null] = fromCursor('keys', query.cursor, [idPattern]) ?? [];
      const rows = await listAccountKeys(deps.pool, accountOf(key), before, query.limit + 1);
      const keys = rows.map((row) => toKey(row, key));
      return { status: 200, body: toPage('keys', keys, query.limit, ({ id }) => [id]) };
    },
  }),
  defineRoute('post', '/v1/keys', 'createKey', {
    summary: 'Create an API key for the account',
    description: `The response holds the key, which is stored only as a digest. A key cannot give a scope that it does not have. An account has at most ${maxValidKeys} valid keys. Audited.`,
    scope: 'webhooks:write',
    body: createKeySchema,
    bodyExample: { name: 'Producer', scopes: ['events:write'] },
    replies: { 201: { description: 'Created', schema: createdKeySchema } },
    errors: ['key_limit_reached'],
    async handle({ deps, key: caller, body }) {
      const accountId = accountOf(caller);
      requireScopesOf(caller, body.scopes, 'A key gives only scopes that it has itself');
      const key = newApiKey();
      const row = await withTransaction(deps.pool, async (client) => {
        const inserted = await insertAccountKey(client, {
          accountId,
          name: body.name,
          hint: hintOfKey(key),
          digest: digestOfKey(key),
          scopes: body.scopes,
        });
        if (inserted === 'no_account') throw noSuchAccount();
        if (inserted === 'limit_reached')
          throw new ApiError(
            'key_limit_reached',
            `An account may have ${maxValidKeys} valid keys. Revoke one that is no longer needed.`,
          );
        await audit(client, caller, 'key.created', inserted.id);
        return inserted;
      });
      const { id, ...rest } = toKey(row, caller);
      return { status: 201, body: { id, key, ...rest } };
    },
  }),
  defineRoute('delete', '/v1/keys/{id}', 'revokeKey', {
    summary: 'Revoke an API key of the account',
    description:
      'Takes effect at once and ends its sessions. A key may revoke itself, and keys whose scopes it has. Audited.',
    scope: 'webhooks:write',
    replies: { 204: { description: 'Revoked' } },
    async handle({ deps, key, id }) {
      await withTransaction(deps.pool, async (client) => {
        const revoked = requireFound(await revokeAccountKey(client, accountOf(key), id), 'valid key');
        if (id !== key.id)
          requireScopesOf(key, revoked, 'A key revokes only keys whose scopes it has itself');
        await audit(client, key, 'key.revoked', id);
      });
      return { status: 204 };
    },
  }),
];
