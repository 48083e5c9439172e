import type { Command } from 'commander';
import type { Account, AccountChange } from '../contracts/account.ts';
import { apiCommand, callAndPrint, connect, given, listAll, print, type ApiOptions } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { countsText, fields, listOf } from './text-output.ts';
import { table } from './table.ts';

type PutOptions = ApiOptions & {
  name?: string;
  metadata?: string;
  maxWebhooks?: string;
  deliveriesPerHour?: string;
};

/** `accounts`, with a service key. */
export function addAccountsCommand(program: Command): void {
  const accounts = program.command('accounts').description('manage accounts (tenants), with a service key');
  apiCommand(accounts, 'list', 'list the accounts')
    .option('--search <text>', 'those whose id or name begins so; 100 at most')
    .action(
      callAndPrint(
        async (client, { search }: { search?: string }) =>
          search === undefined
            ? listAll((page) => client.listAccounts(page))
            : (await client.listAccounts({ q: search, limit: 100 })).data,
        accountTable,
      ),
    );
  apiCommand(accounts, 'show <id>', 'show an account').action(
    callAndPrint((client, id: string) => client.getAccount(id), accountText),
  );
  apiCommand(
    accounts,
    'put <id>',
    'create an account with an id of your own, or change it; fields that are left out stay as they are',
  )
    .option('--name <name>', 'name (default for a new account: its id)')
    .option('--metadata <list>', 'comma-separated name=value; replaces all of it, an empty one removes it')
    .option('--max-webhooks <number>', "webhooks that it may have; default: the service's setting")
    .option(
      '--deliveries-per-hour <number>',
      "attempts an hour of each webhook; default: the service's setting",
    )
    .action(async (id: string, options: PutOptions) => {
      const { name, metadata, maxWebhooks, deliveriesPerHour } = options;
      const limits = given({
        max_webhooks: limitOf('--max-webhooks', maxWebhooks),
        deliveries_per_hour: limitOf('--deliveries-per-hour', deliveriesPerHour),
      });
      const change: AccountChange = { ...given({ name, metadata: metadataOf(metadata) }), limits };
      const { client } = await connect(options);
      print(options, await client.putAccount(id, change), accountText);
    });
  apiCommand(accounts, 'delete <id>', 'delete an account with everything that belongs to it')
    .option('--yes', 'confirm; nothing is deleted without it')
    .action(async (id: string, options: ApiOptions & { yes?: boolean }) => {
      if (!options.yes)
        throw wrongUse(`Nothing was deleted. Add --yes to delete ${id} with its webhooks, events and keys.`);
      const { client } = await connect(options);
      print(options, await client.deleteAccount(id), accountText);
    });
}

/** @throws Error */
function limitOf(option: string, text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === 'default') return null;
  if (!/^\d{1,9}$/.test(text)) throw wrongUse(`${option} must be a whole number, or default.`);
  return Number(text);
}

/** @example metadataOf('plan=enterprise') // { plan: 'enterprise' } @throws Error */
function metadataOf(text: string | undefined): Record<string, string> | undefined {
  if (text === undefined) return undefined;
  const entries = listOf(text).filter((part) => part !== '');
  return Object.fromEntries(
    entries.map((entry) => {
      const end = entry.indexOf('=');
      if (end < 1) throw wrongUse('--metadata must be a list such as plan=enterprise,region=eu.');
      return [entry.slice(0, end), entry.slice(end + 1)];
    }),
  );
}

const limitText = (limit: number | null): string => String(limit ?? 'default');

function accountTable(accounts: readonly Account[]): string {
  if (accounts.length === 0) return 'No accounts.';
  return table(
    accounts.map(({ id, name, limits, usage, created_at: created }) => ({
      id,
      name,
      webhooks: usage.webhooks,
      'max webhooks': limitText(limits.max_webhooks),
      'deliveries per hour': limitText(limits.deliveries_per_hour),
      created,
    })),
  );
}

function accountText({ limits, metadata, usage, deletion, ...account }: Account): string {
  return fields({
    id: account.id,
    name: account.name,
    metadata: Object.entries(metadata)
      .map(([name, value]) => `${name}=${value}`)
      .join(', '),
    max_webhooks: limitText(limits.max_webhooks),
    deliveries_per_hour: limitText(limits.deliveries_per_hour),
    webhooks: usage.webhooks,
    'last 24 hours': countsText({ delivered: usage.delivered, failed: usage.failed }) || 'no deliveries',
    created_at: account.created_at,
    updated_at: account.updated_at,
    deletion: deletion
      ? `since ${deletion.started_at}, erased: ${countsText({ webhooks: deletion.webhooks, deliveries: deletion.deliveries, events: deletion.events })}`
      : undefined,
  });
}
