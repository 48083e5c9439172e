import type { Problem } from '../contracts/problem.ts';
import { toJson } from './raw-json.ts';

/** What a call was answered with instead of what was asked for: an RFC 9457 problem, with its stable `code`. */
export class FltrWebhooksError extends Error {
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  /** A code of the API's, such as `validation_failed`; `no_answer` where none came. */
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
    this.name = 'FltrWebhooksError';
    this.status = of.status;
    this.code = of.code;
    this.errors = of.errors ?? [];
    this.requestId = of.requestId ?? null;
  }
}

export type ClientOptions = {
  /** Of an account, or a service key, which publishes for any. Null: the service's own page, which has a session. */
  apiKey: string | null;
  /** Of the service, without a path. `http://localhost:3000` unless said. */
  url?: string;
  /** For an answer to one request. 30 s unless said. */
  timeoutMs?: number;
  /** Further requests after one that got no answer, a 429 or a 503. 3 unless said; 0: none. */
  maxRetries?: number;
};

export type Query = Readonly<Record<string, string | number | undefined>>;

export type Call = {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  query?: Query | undefined;
  body?: unknown;
  idempotencyKey?: string | undefined;
  /** Whether it may be sent again where it is not known whether the first one arrived. */
  isRepeatable: boolean;
  timeoutMs?: number;
};

export type Send = (call: Call) => Promise<unknown>;

const defaults = { url: 'http://localhost:3000', timeoutMs: 30_000, maxRetries: 3 };
const maxWaitMs = 60_000;

/** Sends calls with a key, and again where that is safe. @throws FltrWebhooksError */
export function createSend(options: ClientOptions): Send {
  const { apiKey, url, timeoutMs, maxRetries } = { ...defaults, ...options };

  const sendOnce = async (call: Call): Promise<Response> => {
    const target = new URL(call.path, url);
    for (const [name, value] of Object.entries(call.query ?? {}))
      if (value !== undefined) target.searchParams.set(name, String(value));
    const headers: Record<string, string> = {
      accept: 'application/json',
      ...(apiKey === null ? { 'x-fltr-dashboard': '1' } : { authorization: `Bearer ${apiKey}` }),
    };
    if (call.body !== undefined) headers['content-type'] = 'application/json';
    if (call.idempotencyKey !== undefined) headers['idempotency-key'] = call.idempotencyKey;
    return fetch(target, {
      method: call.method,
      headers,
      // A redirect would take the key elsewhere.
      redirect: 'error',
      signal: AbortSignal.timeout(call.timeoutMs ?? timeoutMs),
      ...(call.body === undefined ? {} : { body: toJson(call.body) }),
    });
  };

  return async (call) => {
    for (let retry = 0; ; retry += 1) {
      const isLast = retry >= maxRetries;
      let answer: { response: Response; text: string };
      try {
        const response = await sendOnce(call);
        answer = { response, text: await response.text() };
      } catch (error) {
        if (isLast || !call.isRepeatable) throw noAnswer(call, url, error);
        await wait(backoffMs(retry));
        continue;
      }
      const { response, text } = answer;
      if (response.ok) return text === '' ? undefined : parse(text, response.status);
      // Both say that nothing was done.
      const isLater = response.status === 429 || response.status === 503;
      if (isLast || !isLater) throw toError(response, text);
      await wait(retryAfterMs(response) ?? backoffMs(retry));
    }
  };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** 0.25 s, 0.5 s, 1 s, …, each by a random part shorter, so that callers do not come back together. */
function backoffMs(retry: number): number {
  return Math.min(maxWaitMs, 250 * 2 ** retry) * (0.5 + Math.random() / 2);
}

function retryAfterMs({ headers }: Response): number | null {
  const seconds = Number(headers.get('retry-after') ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(maxWaitMs, seconds * 1000) : null;
}

function noAnswer(call: Call, url: string, error: unknown): FltrWebhooksError {
  const isLate = error instanceof Error && error.name === 'TimeoutError';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = isLate ? 'none came in time' : cause instanceof Error ? cause.message : String(cause);
  const message = `${call.method} ${call.path}: no answer from ${url} (${why}).`;
  return new FltrWebhooksError(message, { status: 0, code: 'no_answer', cause: error });
}

function parse(text: string, status: number): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = 'The answer is not JSON: is the URL that of the service?';
    throw new FltrWebhooksError(message, { status, code: 'malformed_answer', cause: error });
  }
}

function toError({ status, headers }: Response, text: string): FltrWebhooksError {
  const requestId = headers.get('x-request-id');
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(text) as Partial<Problem>;
  } catch {
    // Not from the service itself: a proxy's page.
  }
  // The detail says the faults that `errors` lists.
  return new FltrWebhooksError(problem.detail ?? `HTTP ${status}`, {
    status,
    code: problem.code ?? 'unexpected_answer',
    errors: problem.errors,
    requestId,
  });
}
