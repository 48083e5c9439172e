import {
  OpenAPIRegistry,
  OpenApiGeneratorV31,
  type ResponseConfig,
  type RouteConfig,
} from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { externalIdSchema, webhookNameSchema } from '../contracts/external-id.ts';
import { accountHeader, accountIdSchema, idPattern } from '../contracts/id.ts';
import { timeToCome } from '../contracts/delivery.ts';
import {
  builtInEventTypes,
  eventDataSchemas,
  eventTypeExamples,
  eventTypeSchema,
  type EventTypeInfo,
} from '../contracts/event-types.ts';
import { problemSchema } from '../contracts/problem.ts';
import { jwkSetQuerySchema, jwkSetSchema } from '../contracts/public-key.ts';
import { errorCatalogue, type ErrorCode } from '../errors.ts';
import { packageVersion } from '../package-root.ts';
import { jwksPath } from './public-keys.ts';
import { isOfAccount, isPublishing, namesWebhook, type Route } from './route.ts';
import { linesType } from './send-pages.ts';
import { streamType } from './streams.ts';
import { routes } from './routes/route-table.ts';

type Document = ReturnType<OpenApiGeneratorV31['generateDocument']>;
type DocumentedType = Pick<EventTypeInfo, 'event' | 'description' | 'schema' | 'validation' | 'deprecated'>;
let generated: Document | undefined;

/**
 * The OpenAPI 3.1 document, from the table and the schemas that handle the calls, with the event types that may be published.
 * The committed document has those that are built in.
 */
export function openApiDocument(types: readonly DocumentedType[] = builtInTypes()): Document {
  generated ??= generate();
  const { components } = generated;
  const schemas = components?.schemas ?? {};
  // One that is published without any types cannot match a part of an empty list.
  const oneOf = types.length === 0 ? {} : { oneOf: types.map(toPublished) };
  const PublishEvent = { ...schemas['PublishEvent'], ...oneOf };
  return { ...generated, components: { ...components, schemas: { ...schemas, PublishEvent } } };
}

const builtInTypes = (): DocumentedType[] =>
  builtInEventTypes.map((event) => ({
    event,
    description: eventTypeExamples[event].description,
    schema: z.toJSONSchema(eventDataSchemas[event]),
    validation: 'strict',
    deprecated: false,
  }));

function toPublished({ event, description, schema, validation, deprecated }: DocumentedType) {
  const { $schema: _dialect, ...rest } = schema ?? {};
  // References in a schema lead to its own parts: its id makes it a document of its own.
  const isOwn = JSON.stringify(rest).includes('"$ref"');
  const data = { ...(isOwn ? { $id: `urn:fltr-webhooks:event-type:${event}` } : {}), ...rest };
  return {
    title: event,
    description,
    ...(deprecated ? { deprecated } : {}),
    properties: { event: { const: event }, ...(validation === 'none' ? {} : { data }) },
  };
}

/** The served document. Its examples have times in the future, which the committed document cannot have. */
export function openApiText({
  types,
  title,
  now,
}: {
  types: readonly DocumentedType[];
  /** The product's name. */
  title: string;
  now: Date;
}): string {
  const later = new Date(now.getTime() + 86_400_000).toISOString();
  const document = openApiDocument(types);
  const named = { ...document, info: { ...document.info, title } };
  return JSON.stringify(named, (_name, value: unknown) => (value === timeToCome ? later : value));
}

const retryAfter = {
  'Retry-After': {
    description: 'Seconds to wait before the next request.',
    schema: { type: 'integer' as const },
  },
};
const errorHeaders: Record<number, NonNullable<ResponseConfig['headers']>> = {
  429: {
    ...retryAfter,
    RateLimit: {
      description: 'Requests left, and the seconds until the limit is reset.',
      schema: { type: 'string' as const },
    },
    'RateLimit-Policy': { description: 'The limit and its window.', schema: { type: 'string' as const } },
  },
  503: retryAfter,
};

function generate(): Document {
  const registry = new OpenAPIRegistry();
  registry.registerComponent('securitySchemes', 'apiKey', { type: 'http', scheme: 'bearer' });
  for (const route of routes) registry.registerPath(toOperation(route));
  for (const [path, summary] of Object.entries({
    '/healthz': 'Whether the process is alive',
    '/readyz': 'Whether it can accept events, and the state of each part that it depends on',
    '/openapi.json': 'This document',
  })) {
    const content = { 'application/json': { schema: z.object({}).loose() } };
    const unready = path === '/readyz' ? { 503: { description: 'No', content } } : {};
    const responses = { 200: { description: 'Yes', content }, ...unready };
    registry.registerPath({ method: 'get', path, summary, tags: ['Health'], security: [], responses });
  }
  registry.registerPath(jwksOperation);
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'FLTR webhooks',
      version: packageVersion,
      description: 'Sends webhooks: signed, retried, logged; every delivery is a Temporal workflow.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }],
  });
}

const jwksOperation: RouteConfig = {
  method: 'get',
  path: jwksPath,
  summary: 'Public keys of a webhook',
  description:
    'The keys that verify `v1a` signatures, as a JSON Web Key Set: one key, or two during the overlap of a rotation. Needs no key.',
  tags: ['Webhooks'],
  security: [],
  request: { query: jwkSetQuerySchema },
  responses: {
    200: { description: 'The keys', content: { 'application/jwk-set+json': { schema: jwkSetSchema } } },
    ...problemsOf(['not_found', 'validation_failed', 'rate_limited']),
  },
};

function toOperation(route: Route): RouteConfig {
  const parameters = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const responses: RouteConfig['responses'] = {};
  for (const [status, { description, schema }] of Object.entries(route.replies)) {
    responses[status] = schema
      ? {
          description,
          content: {
            [route.isStream === true ? streamType : 'application/json']: { schema },
            ...(route.line ? { [linesType]: { schema: route.line } } : {}),
          },
        }
      : { description };
  }
  Object.assign(responses, problemsOf(errorsOf(route)));
  return {
    method: route.method,
    path: route.path,
    operationId: route.operationId,
    summary: route.summary,
    description: `${route.description ? `${route.description}\n\n` : ''}${route.scope === null ? 'Any valid key may call it.' : `Scope: \`${route.scope}\`.`}`,
    tags: [route.tag],
    request: {
      ...(parameters.length === 0
        ? {}
        : {
            params: z.object(
              Object.fromEntries(
                parameters.map((name) => [name, name === 'id' ? idOf(route) : eventTypeSchema]),
              ),
            ),
          }),
      ...(route.query ? { query: route.query as z.ZodObject } : {}),
      ...headersOf(route),
      ...(route.body
        ? {
            body: {
              required: route.bodyMayBeEmpty !== true,
              content: {
                'application/json': {
                  schema: route.body,
                  ...(route.bodyExample === undefined ? {} : { example: route.bodyExample }),
                },
              },
            },
          }
        : {}),
    },
    responses,
  };
}

/** The responses of these errors, by status. */
function problemsOf(errors: readonly ErrorCode[]): RouteConfig['responses'] {
  const responses: RouteConfig['responses'] = {};
  const codes = [...new Set(errors)];
  for (const status of new Set(codes.map((code) => errorCatalogue[code].status))) {
    const ofStatus = codes.filter((code) => errorCatalogue[code].status === status);
    responses[String(status)] = {
      description: ofStatus.map((code) => `\`${code}\`: ${errorCatalogue[code].title}`).join('; '),
      ...(status in errorHeaders ? { headers: errorHeaders[status] } : {}),
      content: { 'application/problem+json': { schema: problemSchema } },
    };
  }
  return responses;
}

/** The `{id}` of a path. */
function idOf(route: Route): z.ZodType {
  if (route.idMayBeNew) return externalIdSchema;
  return namesWebhook(route) ? webhookNameSchema : z.string().regex(idPattern);
}

function headersOf(route: Route): { headers?: z.ZodObject } {
  const idempotencyKey = z
    .string()
    .max(255)
    .optional()
    .meta({ description: 'The same key with the same body gets the same response for 24 hours.' });
  const traceparent = z.string().optional().meta({
    description:
      'W3C Trace Context, for events without a `traceparent` of their own; an invalid one is ignored.',
  });
  const account = accountIdSchema.optional().meta({
    description: 'With a service key: the account to act for.',
  });
  const headers = {
    ...(isOfAccount(route) ? { [accountHeader]: account } : {}),
    ...(route.takesIdempotencyKey ? { 'Idempotency-Key': idempotencyKey } : {}),
    ...(isPublishing(route) ? { traceparent } : {}),
  };
  return Object.keys(headers).length === 0 ? {} : { headers: z.object(headers) };
}

function errorsOf(route: Route): ErrorCode[] {
  const hasInput =
    route.query !== undefined || route.body !== undefined || route.takesIdempotencyKey === true;
  return [
    ...([
      'unauthorized',
      'missing_scope',
      'rate_limited',
      'bad_request',
      'internal_error',
      'unavailable',
      'body_too_large',
    ] as const),
    ...(isOfAccount(route) ? (['account_key_required', 'service_key_required', 'not_found'] as const) : []),
    ...(hasInput ? (['validation_failed'] as const) : []),
    ...(route.body ? (['malformed_json'] as const) : []),
    ...(route.takesIdempotencyKey ? (['idempotency_key_reused'] as const) : []),
    ...(route.path.includes('{') ? (['not_found'] as const) : []),
    ...(route.errors ?? []),
  ];
}
