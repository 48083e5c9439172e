import type { Command } from 'commander';
import type { WebhookMatch } from '../contracts/webhook-match.ts';
import { apiCommand, callAndPrint, given } from './api-command.ts';
import { collect, readData } from './event-options.ts';
import { printable } from './printable.ts';

type MatchOptions = { data: string; label?: string[] };

/** `webhooks match`: tests types and filter without sending anything. */
export function addMatchCommand(webhooks: Command): void {
  apiCommand(
    webhooks,
    'match <id> <type>',
    'test whether a webhook gets an event, by its types and its filter; nothing is sent; exit code 1 unless it does',
  )
    .requiredOption('--data <json>', 'data as JSON; @file reads a file, @- standard input')
    .option('--label <label>', 'a label of the event; repeat it for more', collect)
    .action(
      callAndPrint(
        async (client, id: string, event: string, { data, label }: MatchOptions) =>
          client.matchWebhook(id, {
            event,
            data: await readData(data),
            ...given({ labels: label }),
          }),
        matchText,
        ({ matches }) => !matches,
      ),
    );
}

const matchText = ({ because }: WebhookMatch): string =>
  because === null ? 'It matches.' : printable(`It does not match. ${because.message}`);
