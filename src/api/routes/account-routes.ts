import { z } from 'zod';
import { accountSchema, putAccountSchema } from '../../contracts/account.ts';
import { accountIdPattern } from '../../contracts/id.ts';
import { pageOf, pageQuery } from '../../contracts/page.ts';
import { beginDeletion } from '../../db/account-deletions.ts';
import { findAccount, listAccounts, putAccount, toAccount } from '../../db/accounts.ts';
import { insertAuditRecord } from '../../db/audit-records.ts';
import { withTransaction } from '../../db/pool.ts';
import type { Deps } from '../../deps.ts';
import { startAccountDeletion } from '../../dispatch/account-deletion.ts';
import { ApiError } from '../../errors.ts';
import { isTemporalUnavailable } from '../../temporal/client.ts';
import { fromCursor, timePattern, toPage } from '../cursor.ts';
import { fault, requireFound, validationError } from '../problem-details.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Accounts');

async function start(deps: Deps, accountId: string): Promise<void> {
  try {
    await startAccountDeletion(deps, accountId);
  } catch (error) {
    if (!isTemporalUnavailable(error)) throw error;
    deps.log.warn({ account: accountId }, 'Temporal is unavailable: the reconciler starts the deletion');
  }
}

export const accountRoutes = [
  defineRoute('put', '/v1/accounts/{id}', 'putAccount', {
    summary: 'Create an account with an id of your own, or change it',
    description:
      'The id has 1 to 64 letters, digits, `_` or `-`. What is left out stays as it is; `null` in `limits` removes a limit of its own. Safe to repeat. Audited.',
    scope: 'accounts:write',
    body: putAccountSchema,
    bodyExample: { name: 'A customer', metadata: { plan: 'enterprise' }, limits: { max_webhooks: 500 } },
    bodyMayBeEmpty: true,
    replies: {
      200: { description: 'Changed', schema: accountSchema },
      201: { description: 'Created', schema: accountSchema },
    },
    errors: ['account_being_deleted'],
    async handle({ deps, key, id, body }) {
      if (!accountIdPattern.test(id))
        throw validationError([fault('#path/id', 'must be 1 to 64 letters, digits, _ or -')]);
      return withTransaction(deps.pool, async (client) => {
        const put = await putAccount(client, id, body);
        if (!put)
          throw new ApiError(
            'account_being_deleted',
            'The account is being deleted. It can be created again when it no longer exists.',
          );
        const { isNew, ...row } = put;
        const action = isNew ? 'account.created' : 'account.updated';
        await insertAuditRecord(client, { accountId: id, actor: key.id, action, target: id });
        return { status: isNew ? 201 : 200, body: toAccount(row) };
      });
    },
  }),
  defineRoute('get', '/v1/accounts', 'listAccounts', {
    summary: 'List the accounts, newest first',
    scope: 'accounts:read',
    query: z.strictObject(pageQuery),
    replies: { 200: { description: 'A page of accounts', schema: pageOf(accountSchema, 'AccountPage') } },
    async handle({ deps, query }) {
      const [createdAt, id] = fromCursor('accounts', query.cursor, [timePattern, accountIdPattern]) ?? [];
      const before = createdAt === undefined || id === undefined ? null : { createdAt, id };
      const accounts = (await listAccounts(deps.pool, before, query.limit + 1)).map(toAccount);
      const body = toPage('accounts', accounts, query.limit, (account) => [account.created_at, account.id]);
      return { status: 200, body };
    },
  }),
  defineRoute('get', '/v1/accounts/{id}', 'getAccount', {
    summary: 'Get an account',
    scope: 'accounts:read',
    replies: { 200: { description: 'The account', schema: accountSchema } },
    async handle({ deps, id }) {
      return { status: 200, body: toAccount(requireFound(await findAccount(deps.pool, id), 'account')) };
    },
  }),
  defineRoute('delete', '/v1/accounts/{id}', 'deleteAccount', {
    summary: 'Delete an account with everything that belongs to it',
    description:
      'From this response on, the account takes no events, webhooks or keys, and its keys are revoked. A workflow then deletes its webhooks, which cancels their deliveries, and erases its rows. `deletion` of the account shows how far it is, until `GET` responds with 404. It takes at least 70 seconds. Safe to repeat. Audited; audit records stay for their retention.',
    scope: 'accounts:write',
    replies: { 202: { description: 'The deletion is under way', schema: accountSchema } },
    async handle({ deps, key, id }) {
      const { account, isRepeated } = await withTransaction(deps.pool, async (client) => {
        const begun = requireFound(await beginDeletion(client, id), 'account');
        const record = { accountId: id, actor: key.id, action: 'account.deleted' as const, target: id };
        if (!begun.isRepeated) await insertAuditRecord(client, record);
        return begun;
      });
      if (!isRepeated) await start(deps, id);
      return { status: 202, body: toAccount(account) };
    },
  }),
];
