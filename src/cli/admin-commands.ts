import type { Command } from 'commander';
import type { Config } from '../config.ts';
import { accountExists } from '../db/accounts.ts';
import { insertApiKey, listApiKeys, revokeApiKey } from '../db/api-keys-table.ts';
import { nameSchema } from '../contracts/visible-text.ts';
import { insertAuditRecord } from '../db/audit-records.ts';
import type { Pool } from '../db/pool.ts';
import { accountScopes, digestOfKey, hintOfKey, newApiKey, scopes } from '../security/api-keys.ts';
import { notFound, wrongUse } from './exit-codes.ts';
import { listOf } from './text-output.ts';
import { table } from './table.ts';

/** Opens the database, runs a function, and closes it. */
export type WithDatabase = (run: (pool: Pool, config: Config) => Promise<void>) => Promise<void>;

export const actor = 'command line';

/** `keys create|list|revoke`. */
export function addAdminCommands(program: Command, withDatabase: WithDatabase): void {
  const keys = program.command('keys').description('manage API keys, in the database');
  keys
    .command('create')
    .description('create an API key and print it; it is shown only once')
    .option('--account <id>', 'the account that the key belongs to')
    .option('--service', 'create a service key, which belongs to no account')
    .option(
      '--scopes <list>',
      `comma-separated scopes, or all: ${accountScopes.join(', ')}; for a service key ${scopes.join(', ')} (default: all; for a service key events:write)`,
    )
    .option('--name <name>', 'for example the name of the system that uses the key', 'unnamed')
    .action((options: { account?: string; service?: boolean; scopes?: string; name: string }) =>
      withDatabase(async (pool) => {
        const accountId = await accountOfKey(pool, options);
        const chosen = scopesOf(options.scopes, accountId === null);
        const key = newApiKey();
        const { id } = await insertApiKey(pool, {
          accountId,
          name: nameFor(options.name),
          hint: hintOfKey(key),
          digest: digestOfKey(key),
          scopes: chosen,
        });
        await insertAuditRecord(pool, { accountId, actor, action: 'key.created', target: id });
        console.error(`Created ${id}. The key is shown only once:`);
        console.log(key);
      }),
    );
  keys
    .command('list')
    .description('list all keys; the keys themselves are not shown')
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
          revoked: row.revokedAt?.toISOString() ?? null,
          'last used': row.lastUsedAt?.toISOString() ?? 'never',
        }));
        console.log(table(lines));
      }),
    );
  keys
    .command('revoke <id>')
    .description('revoke a key, effective immediately')
    .action((id: string) =>
      withDatabase(async (pool) => {
        const revoked = await revokeApiKey(pool, id);
        if (!revoked) throw notFound(`No active key ${id}.`);
        await insertAuditRecord(pool, { ...revoked, actor, action: 'key.revoked', target: id });
        console.log(`Revoked ${id}.`);
      }),
    );
}

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
    if (options.account !== undefined) throw wrongUse('--service and --account exclude each other.');
    return null;
  }
  if (options.account === undefined) throw wrongUse('Specify --account <id> or --service.');
  if (!(await accountExists(pool, options.account))) throw notFound(`No account ${options.account}.`);
  return options.account;
}

function scopesOf(list: string | undefined, isService: boolean): string[] {
  const possible: readonly string[] = isService ? scopes : accountScopes;
  const chosen =
    list === 'all' || (list === undefined && !isService) ? [...possible] : listOf(list ?? 'events:write');
  const unknown = chosen.filter((scope) => !possible.includes(scope));
  if (unknown.length > 0) {
    const kind = isService ? 'a service key' : "an account's key";
    throw wrongUse(`${kind} has no scope ${unknown.join(', ')}. Scopes: ${possible.join(', ')}.`);
  }
  return chosen;
}
