import type { z } from 'zod';
import { isServiceScope } from '../contracts/key.ts';
import type { ApiKey } from '../db/api-keys-table.ts';
import type { Deps } from '../deps.ts';
import type { ErrorCode } from '../errors.ts';
import type { Scope } from '../security/api-keys.ts';

export type Reply = {
  status: number;
  body?: unknown;
  /** The body as JSON, in place of `body`. */
  json?: string;
  isReplay?: boolean;
  /** A whole list in place of a body, page by page: see `createPageSender`. */
  pages?: AsyncIterable<readonly object[]>;
  /** Waits, and then makes the reply. Nothing of the request is kept meanwhile. */
  later?: (isGone: AbortSignal) => Promise<Reply>;
  /** A stream of the changes of this account in place of a body: see `createStreams`. */
  streamOf?: string;
};

export type Context<Query, Body> = {
  deps: Deps;
  key: ApiKey;
  /**
   * The key of a publishing call may come from the cache; the statement that writes the events checks it again. Where
   * nothing is written, call this. @throws ApiError unauthorized or missing_scope
   */
  confirmKey(): Promise<void>;
  /**
   * The `{id}` of the path, which matches `idPattern`, or its `{name}`, which is any text. A webhook's own id, also where the
   * path has its external id.
   */
  id: string;
  query: Query;
  body: Body;
  /** The body's bytes. */
  rawBody: Buffer;
  idempotencyKey: string | undefined;
  requestId: string;
  /** The client accepts a whole list as lines of JSON, and the route has one. */
  wantsLines: boolean;
  /** The `Host` header. */
  host: string | undefined;
  /** The header; null where it is missing or invalid. */
  traceparent: string | null;
};

type Definition<Query extends z.ZodType, Body extends z.ZodType> = {
  summary: string;
  description?: string;
  /** Null: any valid key may call it. */
  scope: Scope | null;
  query?: Query;
  body?: Body;
  /** An example in the API reference. It succeeds once its ids exist. */
  bodyExample?: z.input<Body>;
  /** An empty body counts as `{}`. */
  bodyMayBeEmpty?: boolean;
  /** Parses the body in place of `parseJson`, which is slow for a large one. */
  parse?: (rawBody: Buffer) => unknown;
  /** Default: 64 KiB. */
  maxBodyBytes?: number;
  takesIdempotencyKey?: boolean;
  /** The `{id}` of the path is an external id, which need not exist: it is passed on unchanged. */
  idMayBeNew?: boolean;
  /** A service key may call it without acting for an account. */
  mayLackAccount?: boolean;
  /** A portal session may not call it. */
  isClosedToPortals?: boolean;
  /** It counts toward the account's limit of test events. */
  isTestEvent?: boolean;
  replies: Record<number, { description: string; schema?: z.ZodType }>;
  /** One line of the whole list, which it sends as lines of JSON to a client that accepts them. */
  line?: z.ZodType;
  /** Its response is a stream, which ends with the connection. */
  isStream?: boolean;
  /** Errors in addition to those of every call. */
  errors?: ErrorCode[];
  handle(context: Context<z.output<Query>, z.output<Body>>): Promise<Reply>;
};

export type Route = Definition<z.ZodType, z.ZodType> & {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** As OpenAPI writes it: `/v1/webhooks/{id}`. */
  path: string;
  operationId: string;
  tag: string;
};

/**
 * A function that makes rows of the route table, from which both Express's handler and OpenAPI's operation come. The API
 * reference lists them under the tag.
 *
 * @example routesWithTag('Keys')('get', '/v1/keys', 'listKeys', { summary: 'List the keys', … })
 */
export const routesWithTag =
  (tag: string) =>
  <Query extends z.ZodType = z.ZodUndefined, Body extends z.ZodType = z.ZodUndefined>(
    method: Route['method'],
    path: string,
    operationId: string,
    definition: Definition<Query, Body>,
  ): Route => ({ ...definition, method, path, operationId, tag });

/** Whether a call concerns one account: that of the key, or the one that a service key acts for. */
export const isOfAccount = ({ scope }: Pick<Route, 'scope'>): boolean =>
  scope !== null && !isServiceScope(scope);

/** Whether the `{id}` of the path is a webhook's: its id, or its external id. */
export const namesWebhook = ({ path }: Pick<Route, 'path'>): boolean => path.startsWith('/v1/webhooks/{id}');

/** Publishing has its own rate limit, and its keys are cached. */
export const isPublishing = ({ scope }: Pick<Route, 'scope'>): boolean => scope === 'events:write';
