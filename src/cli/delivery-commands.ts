import { Option, type Command } from 'commander';
import {
  deliveryStatuses,
  waitFilters,
  type Delivery,
  type DeliverySummary,
  type TimelineEntry,
} from '../contracts/delivery.ts';
import type { DeliveryCounts } from '../contracts/delivery-counts.ts';
import type { DeliveryQuery } from '../client/pages.ts';
import { apiCommand, callAndPrint, given } from './api-command.ts';
import { listOrExport } from './export-option.ts';
import { deliveryTable, fields, pageText } from './text-output.ts';
import { printable } from './printable.ts';
import { attemptText } from './webhook-commands.ts';

export type Filters = {
  webhook?: string;
  event?: string;
  status?: string;
  code?: string;
  error?: string;
  eventId?: string;
  operation?: string;
  deferred?: true;
  waitsFor?: string;
  blocksLine?: true;
  orderKey?: string;
  since?: string;
  until?: string;
};

export function addFilters(command: Command): Command {
  return command
    .option('--webhook <id>', 'only this webhook')
    .option('--event <type>', 'only this event type')
    .option('--code <code>', 'only this status code of the last response: 404, or a class such as 5xx')
    .option(
      '--error <code>',
      'only this error code of the last attempt, or no_response for all without a response',
    )
    .option('--event-id <id>', 'only the deliveries of this event')
    .option('--operation <id>', 'only those that this operation acted on last')
    .option('--deferred', 'only those that wait because of a limit')
    .addOption(
      new Option('--waits-for <reason>', 'only those that wait in their order, or for their time').choices(
        waitFilters,
      ),
    )
    .option('--blocks-line', 'only those that have failed and hold up those behind them in their order')
    .option('--order-key <key>', 'only those of this order key');
}

const addTimes = (command: Command): Command =>
  command
    .option('--since <time>', 'accepted at or after this time, such as 2026-01-10T12:00:00Z')
    .option('--until <time>', 'accepted before this time');

export const addStatus = (command: Command): Command =>
  command.addOption(new Option('--status <status>', 'only this status').choices(deliveryStatuses));

/** The API validates the values. */
export const toQuery = ({
  webhook,
  event,
  eventId,
  operation,
  deferred,
  waitsFor,
  blocksLine,
  orderKey,
  status,
  code,
  error,
  since,
  until,
}: Filters): DeliveryQuery =>
  given({
    webhook_id: webhook,
    event,
    event_id: eventId,
    operation_id: operation,
    deferred,
    waits_for: waitsFor,
    blocks_line: blocksLine,
    order_key: orderKey,
    status,
    code,
    error,
    since,
    until,
  }) as DeliveryQuery;

/** `deliveries`: the log, and actions on a delivery. */
export function addDeliveryCommands(program: Command): void {
  const deliveries = program
    .command('deliveries')
    .description('list, show, retry, cancel and reschedule deliveries, one or many');
  const list = addStatus(
    addTimes(addFilters(apiCommand(deliveries, 'list', 'list deliveries, newest first'))),
  );
  listOrExport(list, {
    list: (client, { limit, cursor, ...filters }: Filters & { limit: string; cursor?: string }) =>
      client.listDeliveries({ ...toQuery(filters), limit: Number(limit), ...given({ cursor }) }),
    rows: (client, filters: Filters & { cursor?: string }) =>
      client.exportDeliveries({ ...toQuery(filters), ...given({ cursor: filters.cursor }) }),
    describe: pageText(deliveryTable),
  });
  addTimes(addFilters(apiCommand(deliveries, 'count', 'count deliveries by status'))).action(
    callAndPrint((client, filters: Filters) => client.countDeliveries(toQuery(filters)), statusCountsText),
  );
  apiCommand(deliveries, 'show <id>', 'show a delivery with its attempts and timeline').action(
    callAndPrint((client, id: string) => client.getDelivery(id), deliveryText),
  );
  apiCommand(deliveries, 'retry <id>', 'attempt a delivery now; a failed one starts over')
    .option('--force', 'resend even if it was delivered')
    .action(
      callAndPrint(
        (client, id: string, options: { force?: true }) => client.retryDelivery(id, options),
        statusText,
      ),
    );
  apiCommand(deliveries, 'cancel <id>', 'cancel a waiting delivery').action(
    callAndPrint((client, id: string) => client.cancelDelivery(id), statusText),
  );
  apiCommand(
    deliveries,
    'reschedule <id> <time>',
    'change the time of the next attempt, such as 2026-01-10T12:00:00Z',
  ).action(
    callAndPrint(
      (client, id: string, time: string) => client.rescheduleDelivery(id, { next_attempt_at: time }),
      statusText,
    ),
  );
  apiCommand(deliveries, 'curl <id>', 'print a curl command that sends the latest attempt again, signed now')
    .option('--attempt <number>', 'the attempt with this number')
    .action(
      callAndPrint(
        (client, id: string, { attempt }: { attempt?: string }) =>
          client.signRequest(id, attempt === undefined ? {} : { attempt: Number(attempt) }),
        ({ curl }) => curl,
      ),
    );
}

const statusText = ({ id, status, next_attempt_at }: DeliverySummary): string =>
  `${id} is ${status}${next_attempt_at === null ? '' : `, next attempt ${next_attempt_at}`}.`;

const statusCountsText = ({ counts, limit }: DeliveryCounts): string =>
  fields(
    Object.fromEntries(
      Object.entries(counts).map(([status, count]) => [
        status,
        `${count}${count === limit ? ' or more' : ''}`,
      ]),
    ),
  );

function deliveryText(delivery: Delivery): string {
  const head = fields({
    id: delivery.id,
    status: delivery.status,
    reason: delivery.reason ?? undefined,
    event: `${delivery.event} ${delivery.event_id}`,
    webhook: delivery.webhook_id,
    created: delivery.created_at,
    'next attempt': delivery.next_attempt_at ?? undefined,
    expires: delivery.expires_at ?? undefined,
    'order key': delivery.order_key ?? undefined,
    blocks: delivery.blocks_line ? blocksText(delivery.blocks_line) : undefined,
    'waits for': delivery.waits_for ? waitsForText(delivery.waits_for) : undefined,
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

const blocksText = ({ since, waiting }: NonNullable<Delivery['blocks_line']>): string =>
  `${waiting} ${waiting === 1 ? 'delivery' : 'deliveries'} behind it, since ${since}`;

function waitsForText(waitsFor: NonNullable<Delivery['waits_for']>): string {
  switch (waitsFor.reason) {
    case 'down':
      return waitsFor.next_probe_at === null
        ? 'the deliveries before it: its webhook was down, and they are sent first'
        : `its webhook, which is down; next probe ${waitsFor.next_probe_at}`;
    case 'scheduled':
      return 'the time of its next attempt: it is scheduled';
    case 'order':
      return `${waitsFor.delivery_id}, which is before it in its order`;
  }
}
