import { ownAccountSchema, updateOwnAccountSchema, type OwnAccount } from '../../contracts/account.ts';
import { findAccount, renameAccount, type AccountRow } from '../../db/accounts.ts';
import { withTransaction } from '../../db/pool.ts';
import { accountOf, audit, noSuchAccount } from '../auth.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Settings');

/** Metadata and limits are the operator's. */
const toOwnAccount = ({ id, name, createdAt, updatedAt }: AccountRow): OwnAccount => ({
  id,
  name,
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
});

/** @throws ApiError not_found for an account that is being deleted, or no longer exists */
function requireKept(row: AccountRow | null): AccountRow {
  if (!row || row.deletionRequestedAt !== null) throw noSuchAccount();
  return row;
}

export const ownAccountRoutes = [
  defineRoute('get', '/v1/account', 'getOwnAccount', {
    summary: 'Get the account of the key',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The account', schema: ownAccountSchema } },
    async handle({ deps, key }) {
      return { status: 200, body: toOwnAccount(requireKept(await findAccount(deps.pool, accountOf(key)))) };
    },
  }),
  defineRoute('patch', '/v1/account', 'updateOwnAccount', {
    summary: 'Rename the account of the key',
    description: 'Audited.',
    scope: 'webhooks:write',
    body: updateOwnAccountSchema,
    bodyExample: { name: 'Acme' },
    replies: { 200: { description: 'The account', schema: ownAccountSchema } },
    handle: ({ deps, key, body: { name } }) =>
      withTransaction(deps.pool, async (client) => {
        const account = requireKept(await renameAccount(client, accountOf(key), name));
        await audit(client, key, 'account.updated', account.id, ['name']);
        return { status: 200, body: toOwnAccount(account) };
      }),
  }),
];
