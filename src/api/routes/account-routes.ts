import { z } from 'zod';
import { accountSchema, putAccountSchema, type Account } from '../../contracts/account.ts';
import { accountIdPattern } from '../../contracts/id.ts';
import { pageOf, pageQuery } from '../../contracts/page.ts';
import { comparedText } from '../../contracts/visible-text.ts';
import { beginDeletion } from '../../db/account-deletions.ts';
import { readAccountUsage } from '../../db/account-usage.ts';
import {
  findAccount,
  listAccounts,
  putAccount,
  searchAccounts,
  toAccount,
  type AccountRow,
} from '../../db/accounts.ts';
import { insertAuditRecord } from '../../db/audit-records.ts';
import { withTransaction, type Queryable } from '../../db/pool.ts';
import type { Deps } from '../../deps.ts';
import { startAccountDeletion } from '../../dispatch/account-deletion.ts';
import { bucketsOf } from '../../domain/stats-range.ts';
import { ApiError } from '../../errors.ts';
import { isTemporalUnavailable } from '../../temporal/client.ts';
import { fromCursor, timePattern, toPage } from '../cursor.ts';
import { fault, requireFound, validationError } from '../problem-details.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Accounts');

const searchText = comparedText
  .min(1, 'must not be empty')
  .max(100, 'must have at most 100 characters')
  .meta({ description: 'How the id or the name begins.' });

async function allWithUsage(db: Queryable, rows: readonly AccountRow[]): Promise<Account[]> {
  const { since } = bucketsOf('24h', new Date());
  const usage = await readAccountUsage(
    db,
    rows.map(({ id }) => id),
    since,
  );
  return rows.map((row) => toAccount(row, usage.get(row.id) ?? { webhooks: 0, delivered: 0, failed: 0 }));
}

async function withUsage(db: Queryable, row: AccountRow): Promise<Account> {
  const [account] = await allWithUsage(db, [row]);
  return account ?? toAccount(row, { webhooks: 0, delivered: 0, failed: 0 });
}

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
      'The id has 1 to 64 letters, digits, `_` or `-`. Fields that are left out stay as they are; `null` in `limits` removes a limit of its own. Safe to repeat. Audited.',
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
        return { status: isNew ? 201 : 200, body: await withUsage(client, row) };
      });
    },
  }),
  defineRoute('get', '/v1/accounts', 'listAccounts', {
    summary: 'List the accounts, newest first',
    scope: 'accounts:read',
    description:
      'With `q`, those whose id or name begins so, in either case: the first `limit` of them, on one page.',
    query: z.strictObject({ ...pageQuery, q: searchText.optional() }),
    replies: { 200: { description: 'A page of accounts', schema: pageOf(accountSchema, 'AccountPage') } },
    async handle({ deps, query }) {
      const [createdAt, id] = fromCursor('accounts', query.cursor, [timePattern, accountIdPattern]) ?? [];
      const before = createdAt === undefined || id === undefined ? null : { createdAt, id };
      const rows =
        query.q === undefined
          ? await listAccounts(deps.pool, before, query.limit + 1)
          : await searchAccounts(deps.pool, query.q, query.limit);
      const accounts = await allWithUsage(deps.pool, rows);
      const body = toPage('accounts', accounts, query.limit, (account) => [account.created_at, account.id]);
      return { status: 200, body };
    },
  }),
  defineRoute('get', '/v1/accounts/{id}', 'getAccount', {
    summary: 'Get an account',
    scope: 'accounts:read',
    replies: { 200: { description: 'The account', schema: accountSchema } },
    async handle({ deps, id }) {
      return {
        status: 200,
        body: await withUsage(deps.pool, requireFound(await findAccount(deps.pool, id), 'account')),
      };
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
      return { status: 202, body: await withUsage(deps.pool, account) };
    },
  }),
];
