import { parse } from 'yaml';
import { eventTypePattern } from '../contracts/event-types.ts';

/** An event type that a document describes, or why it cannot be one. */
export type ImportedType = {
  name: string;
  definition: {
    description: string;
    schema: Record<string, unknown> | null;
    example: Record<string, unknown> | null;
    deprecated: boolean;
  };
};

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const objectOf = (value: unknown): Json => (isObject(value) ? value : {});
const entriesOf = (value: unknown): [string, unknown][] => Object.entries(objectOf(value));

/**
 * The event types that a document describes: an OpenAPI document with `webhooks`, or an AsyncAPI document with messages. JSON
 * or YAML.
 *
 * @throws Error that names the fault of the document
 */
export function readEventTypeDocument(text: string): ImportedType[] {
  const document: unknown = parse(text, { maxAliasCount: 100 });
  if (!isObject(document)) throw new Error('it is not an object');
  const described =
    'asyncapi' in document ? messagesOf(document) : 'openapi' in document ? webhooksOf(document) : null;
  if (described === null) throw new Error('it has neither "openapi" nor "asyncapi"');
  if (described.length === 0) throw new Error('it describes no webhooks and no messages');
  return described.map(({ name, description, schema, example, deprecated }) => ({
    name,
    definition: {
      description: oneLine(description),
      schema: isObject(schema) ? withOwnDefinitions(schema, document) : null,
      example: isObject(example) ? example : null,
      deprecated,
    },
  }));
}

/** Whether it can be the name of an event type. */
export const isEventTypeName = (name: string): boolean => eventTypePattern.test(name);

type Described = {
  name: string;
  description: unknown;
  schema: unknown;
  example: unknown;
  deprecated: boolean;
};

const methods = ['post', 'put', 'patch', 'get', 'delete'];

function webhooksOf(document: Json): Described[] {
  return entriesOf(document['webhooks']).flatMap(([name, item]) => {
    const path = objectOf(resolve(item, document));
    const operation = objectOf(path[methods.find((method) => method in path) ?? '']);
    const content = objectOf(objectOf(resolve(operation['requestBody'], document))['content']);
    const media = objectOf(content['application/json'] ?? Object.values(content)[0]);
    const [first] = entriesOf(media['examples']).map(
      ([, each]) => objectOf(resolve(each, document))['value'],
    );
    const { description, summary, deprecated } = { ...path, ...operation };
    return {
      name,
      description: description ?? summary,
      schema: media['schema'],
      example: media['example'] ?? first,
      deprecated: deprecated === true,
    };
  });
}

/** Version 2 has messages at a channel's operations, version 3 at the channel. Messages of one name are one event type. */
function messagesOf(document: Json): Described[] {
  const ofChannels = entriesOf(document['channels']).flatMap(([, channel]) => {
    const { messages, publish, subscribe } = objectOf(channel);
    const single = [publish, subscribe].flatMap((operation) => {
      const message = objectOf(operation)['message'];
      return [objectOf(message)['oneOf'] ?? message ?? []]
        .flat()
        .map((each) => ['', each] as [string, unknown]);
    });
    return [...entriesOf(messages), ...single];
  });
  const all = [...entriesOf(objectOf(document['components'])['messages']), ...ofChannels];
  const found = new Map<string, Described>();
  for (const [key, each] of all) {
    const message = objectOf(resolve(each, document));
    const { name, payload, title, summary, description, examples } = message;
    const typeName = typeof name === 'string' ? name : key;
    if (typeName === '' || found.has(typeName)) continue;
    const { schemaFormat, schema } = objectOf(payload);
    const [example] = Array.isArray(examples) ? (examples as unknown[]) : [];
    found.set(typeName, {
      name: typeName,
      description: description ?? summary ?? title,
      schema: schemaFormat === undefined ? payload : schema,
      example: objectOf(example)['payload'],
      deprecated: message['deprecated'] === true,
    });
  }
  return [...found.values()];
}

/** Follows references within the document. Other references stay. */
function resolve(value: unknown, document: Json): unknown {
  const seen = new Set<unknown>();
  let at = value;
  while (isObject(at) && typeof at['$ref'] === 'string' && at['$ref'].startsWith('#/') && !seen.has(at)) {
    seen.add(at);
    at = at['$ref']
      .split('/')
      .slice(1)
      .reduce<unknown>((parent, part) => objectOf(parent)[unescape(part)], document);
  }
  return at;
}

const unescape = (part: string) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');

/** A schema that needs nothing else: the parts of the document to which it refers are copied into its `$defs`. */
function withOwnDefinitions(schema: Json, document: Json): Json {
  const definitions: Record<string, unknown> = {};
  const move = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(move);
    if (!isObject(value)) return value;
    const { $ref } = value;
    const [, target] = typeof $ref === 'string' ? (/^#\/components\/schemas\/([^/]+)$/.exec($ref) ?? []) : [];
    if (target !== undefined && !(target in definitions)) {
      // Set before its contents are moved, because they may refer to it.
      definitions[target] = {};
      definitions[target] = move(resolve({ $ref }, document));
    }
    const moved = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, move(each)]));
    return target === undefined ? moved : { ...moved, $ref: `#/$defs/${target}` };
  };
  const { $id: _id, $schema: _dialect, ...own } = objectOf(move(schema));
  return Object.keys(definitions).length === 0
    ? own
    : { ...own, $defs: { ...objectOf(own['$defs']), ...definitions } };
}

const oneLine = (text: unknown): string =>
  typeof text === 'string' ? text.replace(/\s+/g, ' ').trim().slice(0, 500) : '';
