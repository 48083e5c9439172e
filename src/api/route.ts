import type { z } from 'zod';
import type { ApiKey } from '../db/api-keys.ts';
import type { Deps } from '../deps.ts';
import type { ErrorCode } from '../errors.ts';
import type { Scope } from '../security/api-keys.ts';

export type Reply = {
  status: number;
  body?: unknown;
  /** The body as JSON, in place of `body`. */
  json?: string;
  headers?: Record<string, string>;
  isReplay?: boolean;
};

export type Context<Query, Body> = {
  deps: Deps;
  key: ApiKey;
  /**
   * A key that publishes may be a remembered one, which the statement that writes looks at again. Where nothing is
   * written, this does. @throws ApiError unauthorized or missing_scope
   */
  confirmKey(): Promise<void>;
  /** The `{id}` of the path: an id by its looks. */
  id: string;
  query: Query;
  body: Body;
  /** The body as it came. */
  rawBody: Buffer;
  idempotencyKey: string | undefined;
  requestId: string;
  /** The header, where it is valid: what is not is as if it had not been sent. */
  traceparent: string | null;
};

type Definition<Query extends z.ZodType, Body extends z.ZodType> = {
  method: 'get' | 'post' | 'patch' | 'delete';
  /** As OpenAPI writes it: `/v1/webhooks/{id}`. */
  path: string;
  operationId: string;
  tag: string;
  summary: string;
  description?: string;
  scope: Scope;
  query?: Query;
  body?: Body;
  /** A body that succeeds as it stands, but for ids; the reference begins with it. */
  bodyExample?: z.input<Body>;
  /** No body counts as `{}`. */
  bodyMayBeEmpty?: boolean;
  /** Reads the body in place of `parseJson`, which takes long for a large one. */
  parse?: (rawBody: Buffer) => unknown;
  /** Most bytes that the body may have; 64 KiB unless said. */
  maxBodyBytes?: number;
  takesIdempotencyKey?: boolean;
  /** It sends a test event, of which an account may send so many a minute. */
  isTestEvent?: boolean;
  replies: Record<number, { description: string; schema?: z.ZodType }>;
  /** Errors beside those that every call can answer. */
  errors?: ErrorCode[];
  handle(context: Context<z.output<Query>, z.output<Body>>): Promise<Reply>;
};

export type Route = Definition<z.ZodType, z.ZodType>;

/** One row of the route table: Express's handler and OpenAPI's operation both come from it. */
export function defineRoute<
  Query extends z.ZodType = z.ZodUndefined,
  Body extends z.ZodType = z.ZodUndefined,
>(definition: Definition<Query, Body>): Route {
  return definition;
}

/** Publishing is counted apart, and its keys are remembered. */
export const isPublishing = ({ scope }: Pick<Route, 'scope'>): boolean => scope === 'events:write';
