import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { DeliveryStatus, DeliverySummary } from '../contracts/delivery.ts';
import type { AcceptedEvent, EventSummary } from '../contracts/event.ts';
import type { EventToPublish, FltrWebhooks } from '../client/fltr-webhooks.ts';
import { indentJson, JsonText } from '../client/raw-json.ts';
import { apiCommand, callFor, connect, print, readText, type ApiOptions } from './api-command.ts';
import { membersOf } from '../domain/json-text.ts';
import { notFound, wrongUse } from './exit-codes.ts';
import { deliveryLine, pageText } from './text-output.ts';
import { printable, printableJsonText } from './printable.ts';
import { addSendBatchCommand } from './send-batch-command.ts';
import { table } from './table.ts';

type SendOptions = ApiOptions & { data: string; id?: string; timestamp?: string; account?: string };

/** `events`, and `trigger`, which sends an example and tells what becomes of it. */
export function addEventCommands(program: Command): void {
  const events = program.command('events').description('what happened');
  apiCommand(events, 'send <type>')
    .description('publish an event')
    .requiredOption('--data <json>', 'its data as JSON; @file reads a file, @- standard input')
    .option('--id <id>', 'what receivers deduplicate on; left out: a new one')
    .option('--timestamp <time>', 'when it happened; left out: now')
    .option('--account <id>', 'with a service key: the account that it is for')
    .action(async (type: string, options: SendOptions) => {
      const data = await readData(options.data);
      const { client } = await connect(options);
      const event = {
        event: type,
        data,
        ...(options.id === undefined ? {} : { id: options.id }),
        ...(options.timestamp === undefined ? {} : { timestamp: options.timestamp }),
        ...(options.account === undefined ? {} : { account_id: options.account }),
      } as EventToPublish;
      print(options, await client.publishEvent(event), acceptedText);
    });
  addSendBatchCommand(events);
  apiCommand(events, 'list')
    .description('the newest events')
    .option('--limit <number>', 'at most so many, 1 to 100', '20')
    .option('--cursor <cursor>', 'the next page')
    .action(async (options: ApiOptions & { limit: string; cursor?: string }) => {
      const { client } = await connect(options);
      const page = await client.listEvents({
        limit: Number(options.limit),
        ...(options.cursor === undefined ? {} : { cursor: options.cursor }),
      });
      print(options, page, pageText(eventTable));
    });
  callFor(
    apiCommand(events, 'show <id>').description('one event with its data, and what became of it'),
    (client, id) => client.getEvent(id),
    (event) =>
      [
        printable(`${event.event}  ${event.id}  ${event.timestamp}`),
        event.body === null
          ? 'Its data is past its retention.'
          : printableJsonText(indentJson(dataOf(event.body))),
        deliveriesText(event.deliveries),
      ].join('\n'),
  );
  apiCommand(events, 'types')
    .description('the types, with what they tell of')
    .action(async (options: ApiOptions) => {
      const { client } = await connect(options);
      print(options, await client.listEventTypes(), ({ data }) =>
        table(data.map(({ event, description }) => ({ type: event, description }))),
      );
    });
  apiCommand(program, 'trigger <type>')
    .description(
      'publish the example of a type, and wait for what becomes of it; exit code 1 where one is not delivered',
    )
    .option('--wait <seconds>', 'at most so long', '30')
    .option('--webhook <id>', 'wait for the delivery to this webhook alone: the others do not count')
    .action(trigger);
}

async function readData(text: string): Promise<JsonText> {
  const json = text.startsWith('@') ? (await readText(text.slice(1))).toString() : text;
  try {
    JSON.parse(json);
    return new JsonText(json);
  } catch (error) {
    throw wrongUse(`--data is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const dataOf = (body: string): string => membersOf(body).find(([name]) => name === 'data')?.[1] ?? '{}';

function deliveriesText(deliveries: AcceptedEvent['deliveries']): string {
  if (deliveries.length === 0) return 'No webhook gets it.';
  return table(
    deliveries.map(({ id, webhook_id, status }) => ({ delivery: id, webhook: webhook_id, status })),
  );
}

function acceptedText({ id, duplicate, deliveries }: AcceptedEvent): string {
  const head = duplicate ? `${id} was accepted before: nothing is sent again.` : `${id} is accepted.`;
  return `${head}\n${deliveriesText(deliveries)}`;
}

function eventTable(events: readonly EventSummary[]): string {
  if (events.length === 0) return 'There are none.';
  return table(
    events.map(({ id, event, created_at, deliveries }) => ({
      id,
      event,
      accepted: created_at,
      deliveries: countsText(deliveries.map(({ status }) => status)),
    })),
  );
}

/** @example countsText(['delivered', 'held', 'delivered']) // '2 delivered, 1 held' */
function countsText(statuses: readonly DeliveryStatus[]): string {
  const counts = new Map<DeliveryStatus, number>();
  for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${count} ${status}`).join(', ') || '-';
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
    throw wrongUse(`There is no type ${type}. The types are ${types.map(({ event }) => event).join(', ')}.`);
  const accepted = await client.publishEvent({ event: type, data: found.example.data } as EventToPublish);
  if (!options.json) console.log(acceptedText(accepted).split('\n')[0]);
  const { webhook } = options;
  const watched = accepted.deliveries.filter(
    ({ webhook_id }) => webhook === undefined || webhook_id === webhook,
  );
  if (webhook !== undefined && watched.length === 0)
    throw notFound(`The event is accepted, and not for ${webhook}: it is not subscribed, or there is none.`);
  const outcomes = await outcomesOf(client, watched, Date.now() + seconds * 1000);
  print(options, { event: accepted, deliveries: outcomes }, outcomesText);
  if (outcomes.some(({ status }) => status !== 'delivered')) process.exitCode = 1;
}

function outcomesText({ deliveries }: { deliveries: readonly DeliverySummary[] }): string {
  if (deliveries.length === 0) return 'No webhook gets it.';
  const held = deliveries.filter(({ status }) => status === 'held').length;
  const why =
    held === 0
      ? []
      : [
          `${held} held: the webhook is not active, so nothing was sent. Watch one alone with --webhook <id>.`,
        ];
  return [...deliveries.map(deliveryLine), ...why].join('\n');
}

/** Each delivery once its first attempt is made, or as it is when the time is over. */
async function outcomesOf(
  client: FltrWebhooks,
  deliveries: AcceptedEvent['deliveries'],
  deadline: number,
): Promise<DeliverySummary[]> {
  const outcomes: DeliverySummary[] = [];
  for (const { id } of deliveries) {
    for (;;) {
      const {
        attempts,
        timeline: _timeline,
        workflow: _workflow,
        ...delivery
      } = await client.getDelivery(id);
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
