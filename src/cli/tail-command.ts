import type { Command } from 'commander';
import { apiCommand, connect, type ApiOptions } from './api-command.ts';
import { addFilters, addStatus, toQuery, type Filters } from './delivery-commands.ts';
import { follow } from './follow.ts';
import { deliveryLine } from './text-output.ts';
import { printableJson } from './printable.ts';

export function addTailCommand(program: Command): void {
  addStatus(
    addFilters(apiCommand(program, 'tail', 'follow the delivery log until Ctrl-C, one line per change')),
  )
    .option('--last <number>', 'start with this many existing deliveries, 0 to 100', '10')
    .action(async (options: ApiOptions & Filters & { last: string }) => {
      const { client } = await connect(options);
      const query = toQuery(options);
      const changes = follow({
        client,
        topic: 'deliveries',
        list: (page) => client.listDeliveries({ ...query, ...page }),
        idOf: ({ id }) => id,
        stateOf: ({ status, attempt_count }) => `${status} ${attempt_count}`,
        last: Number(options.last),
      });
      for await (const delivery of changes)
        console.log(options.json ? printableJson(delivery) : deliveryLine(delivery));
    });
}
