import { once } from 'node:events';
import type { Command } from 'commander';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { callAndPrint, connect, type ApiOptions } from './api-command.ts';
import { printableJson } from './printable.ts';

type ListOptions = { limit: string; cursor?: string };

/** The options and the action of a list: a page of it, or with `--export` all of it as lines of JSON. */
export function listOrExport<Filters extends object, Page>(
  command: Command,
  {
    list,
    rows,
    describe,
  }: {
    list: (client: FltrWebhooks, options: Filters & ListOptions) => Promise<Page>;
    rows: (client: FltrWebhooks, options: Filters) => AsyncIterable<object>;
    describe: (page: Page) => string;
  },
): void {
  const printPage = callAndPrint(list, describe);
  command
    .option('--limit <number>', 'number of rows, 1 to 100', '20')
    .option('--cursor <cursor>', 'continue from this cursor')
    .option('--export', 'print all that match, one JSON object per line, without a limit')
    .action(async (options: Filters & ListOptions & ApiOptions & { export?: true }, self: Command) => {
      if (!options.export) return printPage(options, self);
      const { client } = await connect(options);
      for await (const row of rows(client, options)) {
        if (!process.stdout.write(`${printableJson(row)}\n`)) await once(process.stdout, 'drain');
      }
    });
}
