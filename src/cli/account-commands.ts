import type { Command } from 'commander';
import type { z } from 'zod';
import type { createKeySchema, Key } from '../contracts/key.ts';
import type { OwnAccount } from '../contracts/account.ts';
import type { Settings } from '../contracts/settings.ts';
import type { RangeStats, Stats } from '../contracts/stats.ts';
import { apiCommand, callAndPrint, listAll } from './api-command.ts';
import { rangeOption, type RangeOption } from './range-option.ts';
import { countFields, waitingText, fields, listOf, percent } from './text-output.ts';
import { table } from './table.ts';

/** `account`, `account-keys`, `stats` and `settings`: the API's resources that belong to the account as a whole. */
export function addAccountCommands(program: Command): void {
  const account = program.command('account').description('the account of the key');
  apiCommand(account, 'show', 'show the account of the key').action(
    callAndPrint((client) => client.getOwnAccount(), ownAccountText),
  );
  apiCommand(account, 'rename <name>', 'rename the account of the key').action(
    callAndPrint((client, name: string) => client.updateOwnAccount({ name }), ownAccountText),
  );
  const keys = program
    .command('account-keys')
    .description("the account's API keys, through the API (operators use `keys`)");
  apiCommand(keys, 'list', 'list the keys of the account; the keys themselves are not shown').action(
    callAndPrint((client) => listAll((page) => client.listKeys(page)), keyTable),
  );
  apiCommand(keys, 'create <name>', 'create a key for the account and print it; it is shown only once')
    .requiredOption('--scopes <list>', 'comma-separated scopes: webhooks:read, webhooks:write, events:write')
    .action(
      callAndPrint(
        (client, name: string, { scopes }: { scopes: string }) =>
          client.createKey({ name, scopes: listOf(scopes) } as z.input<typeof createKeySchema>),
        ({ id, key }) => fields({ id, key }),
      ),
    );
  apiCommand(keys, 'revoke <id>', 'revoke a key of the account, effective immediately').action(
    callAndPrint(
      (client, id: string) => client.revokeKey(id).then(() => ({ revoked: id })),
      ({ revoked }) => `Revoked ${revoked}.`,
    ),
  );
  apiCommand(program, 'stats', 'statistics of all webhooks: the last 24 hours, or a range')
    .addOption(rangeOption())
    .action(
      callAndPrint(
        (client, { range }: RangeOption) =>
          range === undefined ? client.getStats() : client.getStats({ range }),
        statsTable,
      ),
    );
  apiCommand(program, 'settings', 'the limits and times of the service').action(
    callAndPrint((client) => client.getSettings(), settingsText),
  );
}

const ownAccountText = (account: OwnAccount): string => fields({ ...account });

function keyTable(keys: readonly Key[]): string {
  return table(
    keys.map((key) => ({
      id: key.id,
      key: key.hint,
      scopes: key.scopes.join(','),
      name: key.name,
      created: key.created_at,
      revoked: key.revoked_at,
      'last used': key.last_used_at ?? 'never',
      current: key.is_current ? 'yes' : '',
    })),
  );
}

function statsTable({ data }: Stats | RangeStats): string {
  if (data.length === 0) return 'No webhooks.';
  return table(
    data.map((stats) => ({
      webhook: stats.webhook_id,
      ...countFields(stats),
      'failure rate': percent(stats.failure_rate),
      waiting: waitingText(stats.waiting),
    })),
  );
}

function settingsText({ auto_disable: disable, ...settings }: Settings): string {
  const { retry_schedule_seconds: waits, deliveries_per_hour: cap, signatures, ...others } = settings;
  return fields({
    ...others,
    signatures: signatures.join(', '),
    retry_schedule_seconds: waits.join(', '),
    deliveries_per_hour: cap ?? 'no cap',
    auto_disable: `above ${percent(disable.failure_rate)} failures (minimum ${disable.min_deliveries} deliveries), checked every ${disable.every_seconds} s`,
  });
}
