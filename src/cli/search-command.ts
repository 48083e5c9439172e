import type { Command } from 'commander';
import type { Found } from '../contracts/search.ts';
import { apiCommand, callAndPrint } from './api-command.ts';
import { table } from './table.ts';

/** `search`: the object with an id, of any kind. */
export function addSearchCommand(program: Command): void {
  apiCommand(
    program,
    'search <text>',
    'find an event, delivery, attempt, operation or webhook by its id, events by a request or an id in their data, or webhooks by how their URL begins; exit code 1 if there is none',
  ).action(
    callAndPrint(
      (client, text: string) => client.search(text),
      ({ data }) => foundTable(data),
      ({ data }) => data.length === 0,
    ),
  );
}

function foundTable(found: readonly Found[]): string {
  if (found.length === 0) return 'Nothing was found.';
  return table(found.map((item) => ({ type: item.type, id: item.id, is: describe(item) })));
}

function describe(found: Found): string {
  switch (found.type) {
    case 'webhook':
      return [found.url, found.external_id ?? '', found.active ? '' : 'not active']
        .filter(Boolean)
        .join('  ');
    case 'event':
      return `${found.event}  ${found.created_at}`;
    case 'delivery':
      return `${found.status}  ${found.event} ${found.event_id} to ${found.webhook_id}`;
    case 'attempt':
      return `${found.outcome}  number ${found.number} of ${found.delivery_id}`;
    case 'operation':
      return `${found.status}  ${found.action}  ${found.created_at}`;
  }
}
