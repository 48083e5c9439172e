import type { Command } from 'commander';
import type { ExpungedEvents } from '../contracts/expunge.ts';
import { apiCommand, connect, print, type ApiOptions } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';

export function addExpungeCommand(events: Command): void {
  apiCommand(
    events,
    'expunge <id...>',
    'wipe the data of events and the stored responses for good; waiting deliveries are canceled',
  )
    .option('--yes', 'confirm; nothing is expunged without it')
    .action(async (ids: string[], options: ApiOptions & { yes?: boolean }) => {
      if (!options.yes)
        throw wrongUse(
          'Nothing was expunged. Add --yes to wipe the data for good and cancel waiting deliveries.',
        );
      const { client } = await connect(options);
      const result = await client.expungeEvents(ids);
      print(options, result, expungedText);
      if (result.not_found.length > 0) process.exitCode = 1;
    });
}

function expungedText({ expunged, not_found: missing }: ExpungedEvents): string {
  const count = expunged.length === 1 ? '1 event' : `${expunged.length} events`;
  return [
    ...(expunged.length === 0 ? [] : [`Expunged ${count}.`]),
    ...(missing.length === 0 ? [] : [`No such event: ${missing.join(', ')}`]),
  ].join('\n');
}
