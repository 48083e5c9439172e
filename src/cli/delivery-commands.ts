import { Option, type Command } from 'commander';
import {
  deliveryStatuses,
  type Delivery,
  type DeliverySummary,
  type TimelineEntry,
} from '../contracts/delivery.ts';
import type { DeliveryQuery } from '../client/fltr-webhooks.ts';
import { apiCommand, callAndPrint, connect, print, type ApiOptions } from './api-command.ts';
import { deliveryTable, fields, pageText } from './text-output.ts';
import { printable } from './printable.ts';
import { attemptText } from './webhook-commands.ts';

export type Filters = {
  webhook?: string;
  event?: string;
  status?: string;
  code?: string;
  since?: string;
  until?: string;
};

export function addFilters(command: Command): Command {
  return command
    .option('--webhook <id>', 'only this webhook')
    .option('--event <type>', 'only this event type')
    .addOption(new Option('--status <status>', 'only this status').choices(deliveryStatuses))
    .option('--code <code>', 'only this status code of the last response: 404, or a class such as 5xx');
}

/** The API validates the values. */
export function toQuery({ webhook, event, status, code, since, until }: Filters): DeliveryQuery {
  const query = { webhook_id: webhook, event, status, code, since, until };
  return Object.fromEntries(
    Object.entries(query).filter(([, value]) => value !== undefined),
  ) as DeliveryQuery;
}

/** `deliveries`: the log, and actions on a delivery. */
export function addDeliveryCommands(program: Command): void {
  const deliveries = program
    .command('deliveries')
    .description('list, show, retry, cancel and reschedule deliveries');
  addFilters(apiCommand(deliveries, 'list'))
    .description('list deliveries, newest first')
    .option('--since <time>', 'accepted at or after this time, such as 2026-01-10T12:00:00Z')
    .option('--until <time>', 'accepted before this time')
    .option('--limit <number>', 'number of deliveries, 1 to 100', '20')
    .option('--cursor <cursor>', 'continue from this cursor')
    .action(async (options: ApiOptions & Filters & { limit: string; cursor?: string }) => {
      const { client } = await connect(options);
      const page = await client.listDeliveries({
        ...toQuery(options),
        limit: Number(options.limit),
        ...(options.cursor === undefined ? {} : { cursor: options.cursor }),
      });
      print(options, page, pageText(deliveryTable));
    });
  callAndPrint(
    apiCommand(deliveries, 'show <id>').description('show a delivery with its attempts and timeline'),
    (client, id) => client.getDelivery(id),
    deliveryText,
  );
  apiCommand(deliveries, 'retry <id>')
    .description('attempt a delivery now; a failed one starts over')
    .option('--force', 'resend even if it was delivered')
    .action(async (id: string, options: ApiOptions & { force?: boolean }) => {
      const { client } = await connect(options);
      print(options, await client.retryDelivery(id, { force: options.force === true }), statusText);
    });
  callAndPrint(
    apiCommand(deliveries, 'cancel <id>').description('cancel a waiting delivery'),
    (client, id) => client.cancelDelivery(id),
    statusText,
  );
  apiCommand(deliveries, 'reschedule <id> <time>')
    .description('change the time of the next attempt, such as 2026-01-10T12:00:00Z')
    .action(async (id: string, time: string, options: ApiOptions) => {
      const { client } = await connect(options);
      print(options, await client.rescheduleDelivery(id, { next_attempt_at: time }), statusText);
    });
}

const statusText = ({ id, status, next_attempt_at }: DeliverySummary): string =>
  `${id} is ${status}${next_attempt_at === null ? '' : `, next attempt ${next_attempt_at}`}.`;

function deliveryText(delivery: Delivery): string {
  const head = fields({
    id: delivery.id,
    status: delivery.status,
    reason: delivery.reason ?? undefined,
    event: `${delivery.event} ${delivery.event_id}`,
    webhook: delivery.webhook_id,
    created: delivery.created_at,
    'next attempt': delivery.next_attempt_at ?? undefined,
    workflow: delivery.workflow.url ?? delivery.workflow.id,
  });
  const attempts = delivery.attempts.map((attempt) => {
    const body = attempt.response?.body ?? '';
    return body === '' ? attemptText(attempt) : `${attemptText(attempt)}\n    ${firstLine(body)}`;
  });
  return [head, attempts.join('\n'), delivery.timeline.map(entryText).join('\n')]
    .filter(Boolean)
    .join('\n\n');
}

const firstLine = (text: string): string => printable(/^[^\r\n]{0,200}/.exec(text)?.[0] ?? '');

function entryText(entry: TimelineEntry): string {
  const { at, type } = entry;
  const rest = Object.entries(entry)
    .filter(([name, value]) => name !== 'at' && name !== 'type' && value !== null)
    .map(([name, value]) => `${name}=${printable(String(value))}`);
  return [at, type.padEnd(8), ...rest].join('  ').trimEnd();
}
