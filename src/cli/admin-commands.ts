import type { Command } from 'commander';
import type { Config } from '../config.ts';
import { accountExists, createAccount, listAccounts } from '../db/accounts.ts';
import { insertApiKey, listApiKeys, revokeApiKey } from '../db/api-keys-table.ts';
import { nameSchema } from '../contracts/visible-text.ts';
import { insertAuditRecord } from '../db/audit-records.ts';
import type { Pool } from '../db/pool.ts';
import { digestOfKey, hintOfKey, newApiKey, scopes } from '../security/api-keys.ts';
import { notFound, wrongUse } from './exit-codes.ts';
import { table } from './table.ts';

/** Runs something with the database, and closes it. */
export type WithDatabase = (run: (pool: Pool, config: Config) => Promise<void>) => Promise<void>;

export const actor = 'command line';

/** `accounts create|list`, `keys create|list|revoke`. */
export function addAdminCommands(program: Command, withDatabase: WithDatabase): void {
  const accounts = program.command('accounts').description('tenants');
  accounts
    .command('create <name>')
    .description('create an account and print its id')
    .action((name: string) =>
      withDatabase(async (pool) => {
        const { id } = await createAccount(pool, nameFor(name));
        await insertAuditRecord(pool, { accountId: id, actor, action: 'account.created', target: id });
        console.log(id);
      }),
    );
  accounts
    .command('list')
    .description('list the accounts')
    .action(() =>
      withDatabase(async (pool) => {
        const rows = await listAccounts(pool);
        console.log(
          table(rows.map(({ id, name, createdAt }) => ({ id, name, created: createdAt.toISOString() }))),
        );
      }),
    );

  const keys = program.command('keys').description('API keys');
  keys
    .command('create')
    .description('create an API key and print it, once')
    .option('--account <id>', 'the account that the key is bound to')
    .option('--service', 'a service key instead: publishes for any account')
    .option(
      '--scopes <list>',
      `separated by commas, of ${scopes.join(', ')}; default: all (a service key: events:write)`,
    )
    .option('--name <name>', 'what it is for', 'unnamed')
    .action((options: { account?: string; service?: boolean; scopes?: string; name: string }) =>
      withDatabase(async (pool) => {
        const accountId = await accountOfKey(pool, options);
        const chosen = scopesOf(options.scopes, accountId === null);
        const key = newApiKey();
        const id = await insertApiKey(pool, {
          accountId,
          name: nameFor(options.name),
          hint: hintOfKey(key),
          digest: digestOfKey(key),
          scopes: chosen,
        });
        await insertAuditRecord(pool, { accountId, actor, action: 'key.created', target: id });
        console.error(`${id}: this is the only time that the key is shown.`);
        console.log(key);
      }),
    );
  keys
    .command('list')
    .description('list the keys, without the keys themselves')
    .action(() =>
      withDatabase(async (pool) => {
        const rows = await listApiKeys(pool);
        const lines = rows.map((row) => ({
          id: row.id,
          key: row.hint,
          account: row.accountId ?? '(service)',
          scopes: row.scopes.join(','),
          name: row.name,
          created: row.createdAt.toISOString(),
          revoked: row.revokedAt?.toISOString() ?? '',
        }));
        console.log(table(lines));
      }),
    );
  keys
    .command('revoke <id>')
    .description('revoke a key, from this moment on')
    .action((id: string) =>
      withDatabase(async (pool) => {
        if (!(await revokeApiKey(pool, id))) throw notFound(`There is no key ${id} that is valid.`);
        await insertAuditRecord(pool, { accountId: null, actor, action: 'key.revoked', target: id });
        console.log(`${id} is revoked.`);
      }),
    );
}

/** @throws Error where it is not one line of visible text */
function nameFor(name: string): string {
  const parsed = nameSchema.safeParse(name);
  if (!parsed.success)
    throw wrongUse(`The name is not valid: ${parsed.error.issues.map(({ message }) => message).join('; ')}.`);
  return parsed.data;
}

async function accountOfKey(
  pool: Pool,
  options: { account?: string; service?: boolean },
): Promise<string | null> {
  if (options.service) {
    if (options.account !== undefined)
      throw wrongUse('A service key belongs to no account: leave out --account.');
    return null;
  }
  if (options.account === undefined) throw wrongUse('Name the account with --account, or use --service.');
  if (!(await accountExists(pool, options.account)))
    throw notFound(`There is no account ${options.account}.`);
  return options.account;
}

function scopesOf(list: string | undefined, isService: boolean): string[] {
  const chosen =
    list?.split(',').map((scope) => scope.trim()) ?? (isService ? ['events:write'] : [...scopes]);
  const unknown = chosen.filter((scope) => !scopes.some((known) => known === scope));
  if (unknown.length > 0)
    throw wrongUse(`No such scope: ${unknown.join(', ')}. The scopes are ${scopes.join(', ')}.`);
  return chosen;
}
