import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { DeliverySummary } from '../contracts/delivery.ts';
import type { AcceptedEvent, EventSummary } from '../contracts/event.ts';
import type { EventToPublish, FltrWebhooks } from '../client/fltr-webhooks.ts';
import type { EventQuery } from '../client/pages.ts';
import { indentJson, JsonText } from '../client/raw-json.ts';
import { apiCommand, callAndPrint, connect, given, print, type ApiOptions } from './api-command.ts';
import { addExpungeCommand } from './expunge-command.ts';
import {
  collect,
  readData,
  toPublishOptions,
  withPublishOptions,
  type PublishOptions,
} from './event-options.ts';
import { listOrExport } from './export-option.ts';
import { membersOf } from '../domain/json-text.ts';
import { notFound, wrongUse } from './exit-codes.ts';
import { countsText, deliveryLine, pageText } from './text-output.ts';
import { printable, printableJsonText } from './printable.ts';
import { addSendBatchCommand } from './send-batch-command.ts';
import { table } from './table.ts';

type SendOptions = ApiOptions &
  PublishOptions & { data: string; id?: string; timestamp?: string; label?: string[]; wait?: string };

type EventFilters = {
  event?: string;
  label?: string;
  since?: string;
  until?: string;
  undelivered?: boolean;
};

/** The API validates the values. */
const toEventQuery = ({ event, label, since, until, undelivered }: EventFilters): EventQuery =>
  given({ event, label, since, until, outcome: undelivered ? 'undelivered' : undefined });

/** `events`, and `trigger`, which publishes an example and waits for its deliveries. */
export function addEventCommands(program: Command): void {
  const events = program.command('events').description('publish, list and show events');
  withPublishOptions(apiCommand(events, 'send <type>', 'publish an event'))
    .requiredOption('--data <json>', 'data as JSON; @file reads a file, @- standard input')
    .option('--id <id>', 'event id, on which receivers deduplicate (default: a new one)')
    .option('--timestamp <time>', 'time of the event (default: now)')
    .option('--label <label>', 'a label that filters read; repeat it for more', collect)
    .option(
      '--wait <seconds>',
      'wait so long, 60 at most, until its deliveries have ended; exit code 1 unless all are delivered',
    )
    .action(async (type: string, options: SendOptions) => {
      const { id, timestamp, label: labels } = options;
      const data = await readData(options.data);
      const { client } = await connect(options);
      const event = {
        event: type,
        data,
        ...given({ id, timestamp, labels }),
        ...toPublishOptions(options),
      } as EventToPublish;
      const wait = options.wait === undefined ? {} : { wait: Number(options.wait) };
      const accepted = await client.publishEvent(event, wait);
      print(options, accepted, acceptedText);
      if (options.wait !== undefined && accepted.deliveries.some(({ status }) => status !== 'delivered'))
        process.exitCode = 1;
    });
  addSendBatchCommand(events);
  const list = apiCommand(events, 'list', 'list events, newest first')
    .option('--event <type>', 'only this event type')
    .option('--label <label>', 'only with this label')
    .option('--since <time>', 'accepted at or after this time, such as 2026-01-10T12:00:00Z')
    .option('--until <time>', 'accepted before this time')
    .option('--undelivered', 'only those with a delivery that ended without being delivered');
  listOrExport(list, {
    list: (client, { limit, cursor, ...filters }: EventFilters & { limit: string; cursor?: string }) =>
      client.listEvents({ ...toEventQuery(filters), limit: Number(limit), ...given({ cursor }) }),
    rows: (client, filters: EventFilters & { cursor?: string }) =>
      client.exportEvents({ ...toEventQuery(filters), ...given({ cursor: filters.cursor }) }),
    describe: pageText(eventTable),
  });
  apiCommand(events, 'show <id>', 'show an event with its data and deliveries').action(
    callAndPrint((client, id: string) => client.getEvent(id).then(withDataText), eventText),
  );
  addExpungeCommand(events);
  apiCommand(
    program,
    'trigger <type>',
    'publish the example of a type and wait for its deliveries; exit code 1 unless all are delivered',
  )
    .option('--wait <seconds>', 'maximum time to wait', '30')
    .option('--webhook <id>', 'only wait for the delivery to this webhook')
    .action(trigger);
}

/** `data` as the producer wrote it: parsed, numbers beyond double precision lose digits. */
const withDataText = <Event extends { body: string | null }>(event: Event) =>
  event.body === null ? event : { ...event, data: new JsonText(dataOf(event.body)) };

const dataOf = (body: string): string => membersOf(body).find(([name]) => name === 'data')?.[1] ?? '{}';

type Event = Awaited<ReturnType<FltrWebhooks['getEvent']>>;

function eventText({
  event,
  id,
  timestamp,
  labels,
  body,
  deliveries,
  expunged_at: expungedAt,
  other_webhooks: others,
  ...options
}: Event): string {
  const data =
    body === null
      ? expungedAt === null
        ? 'The data was removed after its retention period.'
        : printable(`The event was expunged at ${expungedAt}.`)
      : printableJsonText(indentJson(dataOf(body)));
  return [
    printable(`${event}  ${id}  ${timestamp}`),
    ...(labels.length === 0 ? [] : [printable(`Labels: ${labels.join(', ')}`)]),
    ...optionsText(options),
    data,
    deliveriesText(deliveries),
    ...others.map(({ webhook_id: webhook, because }) =>
      printable(`Not for ${webhook} (${because.reason}): ${because.message}`),
    ),
  ].join('\n');
}

type Options = Pick<Event, 'webhook_ids' | 'order_key' | 'deliver_at' | 'expires_at'>;

const optionsText = ({ webhook_ids: ids, order_key: key, deliver_at: at, expires_at: end }: Options) => [
  ...(ids === null ? [] : [`Only for: ${ids.join(', ')}`]),
  ...(key === null ? [] : [printable(`Order key: ${key}`)]),
  ...(at === null ? [] : [`Deliver at: ${at}`]),
  ...(end === null ? [] : [`Expires at: ${end}`]),
];

function deliveriesText(deliveries: AcceptedEvent['deliveries']): string {
  if (deliveries.length === 0) return 'No webhook gets it.';
  return table(
    deliveries.map(({ id, webhook_id, status }) => ({ delivery: id, webhook: webhook_id, status })),
  );
}

function acceptedText({ id, duplicate, deliveries }: AcceptedEvent): string {
  const head = duplicate ? `Duplicate: ${id} was already accepted, nothing is sent.` : `Accepted ${id}.`;
  return `${head}\n${deliveriesText(deliveries)}`;
}

function eventTable(events: readonly EventSummary[]): string {
  if (events.length === 0) return 'No events.';
  return table(
    events.map(({ id, event, created_at, deliveries }) => {
      const counts: Record<string, number> = {};
      for (const { status } of deliveries) counts[status] = (counts[status] ?? 0) + 1;
      return { id, event, accepted: created_at, deliveries: countsText(counts) };
    }),
  );
}

const pollMs = 250;

async function trigger(
  type: string,
  options: ApiOptions & { wait: string; webhook?: string },
): Promise<void> {
  const seconds = Number(options.wait);
  if (!(seconds >= 0)) throw wrongUse('--wait must be a number of seconds.');
  const { client } = await connect(options);
  const { data: types } = await client.listEventTypes();
  const found = types.find(({ event }) => event === type);
  if (!found)
    throw wrongUse(`Unknown event type ${type}. Types: ${types.map(({ event }) => event).join(', ')}.`);
  const webhook = options.webhook === undefined ? undefined : await webhookIdOf(client, options.webhook);
  const accepted = await client.publishEvent({ event: type, data: found.example ?? {} } as EventToPublish);
  if (!options.json) console.log(acceptedText(accepted).split('\n')[0]);
  const watched = accepted.deliveries.filter(
    ({ webhook_id }) => webhook === undefined || webhook_id === webhook,
  );
  if (webhook !== undefined && watched.length === 0)
    throw notFound(`The event was accepted, but ${webhook} is not subscribed to it or does not exist.`);
  const outcomes = await outcomesOf(client, watched, Date.now() + seconds * 1000);
  print(options, { event: accepted, deliveries: outcomes }, outcomesText);
  if (outcomes.some(({ status }) => status !== 'delivered')) process.exitCode = 1;
}

/** The id of a webhook that the option names by its id or its external id. */
async function webhookIdOf(client: FltrWebhooks, name: string): Promise<string> {
  return name.startsWith('wh_') ? name : (await client.getWebhook(name)).webhook_id;
}

function outcomesText({ deliveries }: { deliveries: readonly DeliverySummary[] }): string {
  if (deliveries.length === 0) return 'No webhook gets it.';
  const lines = deliveries.map(deliveryLine);
  const held = deliveries.filter(({ status }) => status === 'held').length;
  if (held > 0)
    lines.push(
      `${held} held because the webhook is not active. To wait for one webhook only, use --webhook <id>.`,
    );
  return lines.join('\n');
}

/** Each delivery after its first attempt, or its state at the deadline. */
async function outcomesOf(
  client: FltrWebhooks,
  deliveries: AcceptedEvent['deliveries'],
  deadline: number,
): Promise<DeliverySummary[]> {
  const outcomes: DeliverySummary[] = [];
  for (const { id } of deliveries) {
    for (;;) {
      const { attempts, timeline: _t, workflow: _w, ...delivery } = await client.getDelivery(id);
      const last = attempts.at(-1);
      if (delivery.status !== 'pending' || Date.now() >= deadline) {
        outcomes.push({
          ...delivery,
          attempt_count: attempts.length,
          last_status_code: last?.status_code ?? null,
          last_error_code: last?.error?.code ?? null,
        });
        break;
      }
      await delay(pollMs);
    }
  }
  return outcomes;
}
