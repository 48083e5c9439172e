import type { Command } from 'commander';
import { FltrWebhooksError } from '../client/request.ts';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { indentJson } from '../client/raw-json.ts';
import type { EventTypeInfo } from '../contracts/event-types.ts';
import type { EventTypeStats } from '../contracts/stats.ts';
import {
  apiCommand,
  callAndPrint,
  connect,
  given,
  print,
  readText,
  readValue,
  type ApiOptions,
} from './api-command.ts';
import { isEventTypeName, readEventTypeDocument } from './event-type-document.ts';
import { wrongUse } from './exit-codes.ts';
import { printableJsonText } from './printable.ts';
import { table } from './table.ts';
import { percent } from './text-output.ts';

type PutOptions = ApiOptions & {
  description: string;
  schema?: string;
  example?: string;
  validation?: EventTypeInfo['validation'];
  deprecated?: true;
};
type Outcome = { event: string; result: 'imported' | 'refused'; why?: string };

/** `event-types`: the events that can be published. */
export function addEventTypeCommands(program: Command): void {
  const types = program.command('event-types').description('list, define, delete and import event types');
  apiCommand(types, 'list', 'list the event types').action(
    callAndPrint(
      (client) => client.listEventTypes(),
      ({ data }) =>
        data.length === 0
          ? 'No event types.'
          : table(data.map(({ event, source, description }) => ({ type: event, source, description }))),
    ),
  );
  apiCommand(types, 'show <type>', 'show an event type with its schema and example').action(
    callAndPrint((client, type: string) => client.getEventType(type), typeText),
  );
  apiCommand(
    types,
    'stats',
    'show the deliveries and the failure rate of each type in the last 24 hours',
  ).action(callAndPrint((client) => client.getEventTypeStats(), statsText));
  apiCommand(types, 'put <type>', 'define an event type, or replace its definition')
    .requiredOption('--description <text>', 'what the event means')
    .option('--schema <json>', 'JSON Schema (2020-12) of data; @file reads a file, @- standard input')
    .option('--example <json>', 'an example of data; @file reads a file')
    .option('--validation <kind>', 'strict, open or none', 'open')
    .option('--deprecated', 'it can still be published')
    .action(
      callAndPrint(async (client, type: string, options: PutOptions) => {
        const { description, validation, deprecated = false } = options;
        const schema = await readObject('--schema', options.schema);
        const example = await readObject('--example', options.example);
        return client.putEventType(type, {
          description,
          deprecated,
          ...given({ schema, example, validation }),
        });
      }, typeText),
    );
  apiCommand(types, 'delete <type>', 'delete an event type that no webhook names').action(
    callAndPrint(
      (client, type: string) => client.deleteEventType(type),
      () => 'Deleted.',
    ),
  );
  apiCommand(
    types,
    'import <file>',
    'define the types of an OpenAPI (webhooks) or AsyncAPI (messages) document; - reads standard input',
  )
    .option('--validation <kind>', 'strict, open or none', 'open')
    .action(importTypes);
}

const statsText = ({ data }: EventTypeStats): string =>
  data.length === 0
    ? 'No attempts in the last 24 hours.'
    : table(
        data.map(({ event, attempts, delivered, failed, failure_rate: rate }) => ({
          type: event,
          attempts,
          delivered,
          failed,
          'failure rate': percent(rate),
        })),
      );

async function readObject(
  option: string,
  text: string | undefined,
): Promise<Record<string, unknown> | undefined> {
  if (text === undefined) return undefined;
  const json = await readValue(text);
  try {
    return JSON.parse(json) as Record<string, unknown>;
  } catch (error) {
    throw wrongUse(`${option} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function typeText({
  event,
  description,
  schema,
  example,
  validation,
  deprecated,
  source,
}: EventTypeInfo): string {
  const json = (value: unknown) => printableJsonText(indentJson(JSON.stringify(value)));
  return [
    `${event}${deprecated ? '  deprecated' : ''}  (${source}, ${validation})`,
    description,
    ...(schema === null ? [] : ['Schema of data:', json(schema)]),
    ...(example === null ? [] : ['Example of data:', json(example)]),
  ].join('\n');
}

async function importTypes(
  file: string,
  options: ApiOptions & { validation: EventTypeInfo['validation'] },
): Promise<void> {
  const text = (await readText(file)).toString();
  let types: ReturnType<typeof readEventTypeDocument>;
  try {
    types = readEventTypeDocument(text);
  } catch (error) {
    throw wrongUse(`${file} cannot be imported: ${error instanceof Error ? error.message : String(error)}.`);
  }
  const { client } = await connect(options);
  const outcomes: Outcome[] = [];
  for (const { name, definition } of types) {
    if (isEventTypeName(name))
      outcomes.push(await importType(client, name, { ...definition, validation: options.validation }));
    else
      outcomes.push({
        event: name,
        result: 'refused',
        why: 'a name has 2 to 6 parts of a-z, 0-9 and _, joined by full stops',
      });
  }
  print(options, outcomes, (all) =>
    table(all.map(({ event, result, why = '' }) => ({ type: event, result, why }))),
  );
  if (outcomes.some(({ result }) => result === 'refused')) process.exitCode = 1;
}

/** One that the service refuses does not stop the others; anything else does. */
async function importType(
  client: FltrWebhooks,
  event: string,
  definition: Parameters<FltrWebhooks['putEventType']>[1],
): Promise<Outcome> {
  try {
    await client.putEventType(event, definition);
    return { event, result: 'imported' };
  } catch (error) {
    if (!(error instanceof FltrWebhooksError) || (error.status !== 422 && error.status !== 409)) throw error;
    return { event, result: 'refused', why: error.message };
  }
}
