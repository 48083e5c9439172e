import type { Command } from 'commander';
import type { z } from 'zod';
import { everyItem } from '../client/fltr-webhooks.ts';
import type { createKeySchema, Key } from '../contracts/key.ts';
import type { Settings } from '../contracts/settings.ts';
import type { Stats } from '../contracts/stats.ts';
import { apiCommand, connect, print, type ApiOptions } from './api-command.ts';
import { fields, percent, waitingText } from './text-output.ts';
import { table } from './table.ts';

/** `account-keys`, `stats` and `settings`: the API's resources that belong to the account as a whole. */
export function addAccountCommands(program: Command): void {
  const keys = program
    .command('account-keys')
    .description("the account's API keys, through the API (operators use `keys`)");
  apiCommand(keys, 'list')
    .description('list the keys of the account; the keys themselves are not shown')
    .action(async (options: ApiOptions) => {
      const { client } = await connect(options);
      const all: Key[] = [];
      for await (const key of everyItem((page) => client.listKeys({ limit: 100, ...page }))) all.push(key);
      print(options, all, keyTable);
    });
  apiCommand(keys, 'create <name>')
    .description('create a key for the account and print it; it is shown only once')
    .requiredOption('--scopes <list>', 'comma-separated scopes: webhooks:read, webhooks:write, events:write')
    .action(async (name: string, options: ApiOptions & { scopes: string }) => {
      const scopes = options.scopes.split(',').map((scope) => scope.trim());
      const { client } = await connect(options);
      const request = { name, scopes } as z.input<typeof createKeySchema>;
      print(options, await client.createKey(request), ({ id, key }) => fields({ id, key }));
    });
  apiCommand(keys, 'revoke <id>')
    .description('revoke a key of the account, effective immediately')
    .action(async (id: string, options: ApiOptions) => {
      const { client } = await connect(options);
      await client.revokeKey(id);
      print(options, { revoked: id }, () => `Revoked ${id}.`);
    });
  apiCommand(program, 'stats')
    .description('statistics of the last 24 hours for all webhooks')
    .action(async (options: ApiOptions) => {
      const { client } = await connect(options);
      print(options, await client.getStats(), statsTable);
    });
  apiCommand(program, 'settings')
    .description('the limits and times of the service')
    .action(async (options: ApiOptions) => {
      const { client } = await connect(options);
      print(options, await client.getSettings(), settingsText);
    });
}

function keyTable(keys: readonly Key[]): string {
  return table(
    keys.map((key) => ({
      id: key.id,
      key: key.hint,
      scopes: key.scopes.join(','),
      name: key.name,
      created: key.created_at,
      revoked: key.revoked_at ?? '',
      current: key.is_current ? 'yes' : '',
    })),
  );
}

function statsTable({ data }: Stats): string {
  if (data.length === 0) return 'No webhooks.';
  return table(
    data.map(({ webhook_id, attempts, failed_attempts, delivered, failed, failure_rate, waiting }) => ({
      webhook: webhook_id,
      attempts: String(attempts),
      'failed attempts': String(failed_attempts),
      delivered: String(delivered),
      failed: String(failed),
      'failure rate': percent(failure_rate),
      waiting: waitingText(waiting),
    })),
  );
}

function settingsText({ auto_disable: disable, ...settings }: Settings): string {
  const { retry_schedule_seconds: waits, deliveries_per_hour: cap, ...others } = settings;
  return fields({
    ...others,
    retry_schedule_seconds: waits.join(', '),
    deliveries_per_hour: cap ?? 'no cap',
    auto_disable: `above ${percent(disable.failure_rate)} failures (minimum ${disable.min_deliveries} deliveries), checked every ${disable.every_seconds} s`,
  });
}
