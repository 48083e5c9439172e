import type { Command } from 'commander';
import type { AuditRecord } from '../contracts/audit.ts';
import { apiCommand, given } from './api-command.ts';
import { listOrExport } from './export-option.ts';
import { table } from './table.ts';
import { pageText } from './text-output.ts';

type Filters = { action?: string; actor?: string; target?: string; since?: string; until?: string };
type ListOptions = Filters & { limit: string; cursor?: string };

/** `audit`: the record of changes, with the key that made each. */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('list audit records');
  const list = apiCommand(audit, 'list', 'list audit records, newest first')
    .option('--action <action>', 'only this action, such as webhook.deleted, or a family: webhook.*')
    .option('--actor <id>', 'only changes by this key or portal link')
    .option('--target <id>', 'only changes of this webhook, key or operation')
    .option('--since <time>', 'recorded at or after this time, such as 2026-01-10T12:00:00Z')
    .option('--until <time>', 'recorded before this time');
  listOrExport(list, {
    list: (client, { limit, ...options }: ListOptions) =>
      client.listAuditRecords({ limit: Number(limit), ...toQuery(options) }),
    rows: (client, options: Filters & { cursor?: string }) => client.exportAuditRecords(toQuery(options)),
    describe: pageText(auditTable),
  });
}

const toQuery = ({ action, actor, target, since, until, cursor }: Filters & { cursor?: string }) =>
  given({ action, actor, target, since, until, cursor });

function auditTable(records: readonly AuditRecord[]): string {
  if (records.length === 0) return 'No audit records.';
  return table(
    records.map(({ created_at: at, action, actor, target, fields }) => ({
      at,
      action: fields.length === 0 ? action : `${action} (${fields.join(', ')})`,
      by: nameOf(actor),
      target: nameOf(target),
    })),
  );
}

const nameOf = ({ id, name }: { id: string; name: string | null }): string =>
  name === null ? id : `${id} (${name})`;
