import type { Problem } from '../contracts/problem.ts';
import { toJson } from './raw-json.ts';

/** An error response, which is an RFC 9457 problem with a stable `code`, or a missing or unusable response. */
export class FltrWebhooksError extends Error {
  override readonly name = 'FltrWebhooksError';
  /** HTTP status; 0 if there was no response. */
  readonly status: number;
  /**
   * A code of the API, such as `validation_failed`; `no_response` if there was none; `malformed_response` or
   * `unexpected_response` if it was not from the API.
   */
  readonly code: string;
  readonly errors: NonNullable<Problem['errors']>;
  readonly requestId: string | null;

  constructor(
    message: string,
    of: {
      status: number;
      code: string;
      errors?: Problem['errors'];
      requestId?: string | null;
      cause?: unknown;
    },
  ) {
    super(message, { cause: of.cause });
    this.status = of.status;
    this.code = of.code;
    this.errors = of.errors ?? [];
    this.requestId = of.requestId ?? null;
  }
}

export type ClientOptions = {
  /**
   * An account's key, or a service key, which acts for the account in `account`. A function is called at each request. Null: use
   * the dashboard's session.
   */
  apiKey: string | null | (() => string | null);
  /** With a service key: the account that every call acts for. */
  account?: string | undefined;
  /** Base URL of the service. Default: `http://localhost:3000`. */
  url?: string;
  /** For each request. Default: 30 s. */
  timeoutMs?: number;
  /** Retries after no response, a 429 or a 503. Default: 3. */
  maxRetries?: number;
};

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export type Call = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  query?: Query | undefined;
  body?: unknown;
  idempotencyKey?: string | undefined;
  /** Whether it may be retried if it is unknown whether the first request arrived. */
  isRepeatable: boolean;
  timeoutMs?: number;
};

export type Send = (call: Call) => Promise<unknown>;

const defaults = { url: 'http://localhost:3000', timeoutMs: 30_000, maxRetries: 3 };
const maxWaitMs = 60_000;

/** Of a call that may take so many seconds longer. */
export function waiting(
  { timeoutMs = defaults.timeoutMs }: ClientOptions,
  wait: number | undefined,
): Pick<Call, 'query' | 'timeoutMs'> {
  return wait === undefined ? {} : { query: { wait }, timeoutMs: timeoutMs + wait * 1000 };
}

/** Sends a call once. */
export function fetchCall(
  { apiKey, account, url = defaults.url }: ClientOptions,
  call: Call,
  { accept, signal }: { accept: string; signal: AbortSignal },
): Promise<Response> {
  const target = new URL(call.path, url);
  for (const [name, value] of Object.entries(call.query ?? {}))
    if (value !== undefined) target.searchParams.set(name, String(value));
  const key = typeof apiKey === 'function' ? apiKey() : apiKey;
  const headers: Record<string, string> = {
    accept,
    ...(key === null ? { 'x-fltr-dashboard': '1' } : { authorization: `Bearer ${key}` }),
  };
  if (account !== undefined) headers['fltr-account'] = account;
  if (call.body !== undefined) headers['content-type'] = 'application/json';
  if (call.idempotencyKey !== undefined) headers['idempotency-key'] = call.idempotencyKey;
  return fetch(target, {
    method: call.method,
    headers,
    // A browser's cookie is of another session.
    credentials: key === null ? 'same-origin' : 'omit',
    // A redirect would send the key to another host.
    redirect: 'error',
    signal,
    ...(call.body === undefined ? {} : { body: toJson(call.body) }),
  });
}

/** Sends calls with a key, and retries them if that is safe. @throws FltrWebhooksError */
export function createSend(options: ClientOptions): Send {
  const { url, timeoutMs, maxRetries } = { ...defaults, ...options };

  const sendOnce = async (call: Call): Promise<Response> =>
    fetchCall(options, call, {
      accept: 'application/json',
      signal: AbortSignal.timeout(call.timeoutMs ?? timeoutMs),
    });

  return async (call) => {
    for (let retry = 0; ; retry += 1) {
      const isLast = retry >= maxRetries;
      let response: Response;
      let text: string;
      try {
        response = await sendOnce(call);
        text = await response.text();
      } catch (error) {
        if (isLast || !call.isRepeatable) throw noResponse(call, url, error);
        await wait(backoffMs(retry));
        continue;
      }
      if (response.ok) return text === '' ? undefined : parse(text, response.status);
      // Both mean that nothing was done.
      const isRetryable = response.status === 429 || response.status === 503;
      if (isLast || !isRetryable) throw toError(response, text);
      await wait(retryAfterMs(response) ?? backoffMs(retry));
    }
  };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** 0.25 s, 0.5 s, 1 s, … with jitter. */
function backoffMs(retry: number): number {
  return Math.min(maxWaitMs, 250 * 2 ** retry) * (0.5 + Math.random() / 2);
}

function retryAfterMs({ headers }: Response): number | null {
  const seconds = Number(headers.get('retry-after') ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(maxWaitMs, seconds * 1000) : null;
}

export function noResponse(call: Call, url: string, error: unknown): FltrWebhooksError {
  const isLate = error instanceof Error && error.name === 'TimeoutError';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = isLate ? 'timeout' : cause instanceof Error ? cause.message : String(cause);
  const message = `${call.method} ${call.path}: no response from ${url} (${why}).`;
  return new FltrWebhooksError(message, { status: 0, code: 'no_response', cause: error });
}

function parse(text: string, status: number): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = 'The response is not JSON. Check that the URL is that of the service.';
    throw new FltrWebhooksError(message, { status, code: 'malformed_response', cause: error });
  }
}

export function toError({ status, headers }: Response, text: string): FltrWebhooksError {
  const requestId = headers.get('x-request-id');
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(text) as Partial<Problem>;
  } catch {
    // Not from the service, for example from a proxy.
  }
  // The detail includes the faults in `errors`.
  return new FltrWebhooksError(problem.detail ?? `HTTP ${status}`, {
    status,
    code: problem.code ?? 'unexpected_response',
    errors: problem.errors,
    requestId,
  });
}
