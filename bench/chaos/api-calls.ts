import { setTimeout as delay } from 'node:timers/promises';
import type { Model } from './model.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
type Options = {
  body?: unknown;
  headers?: Record<string, string>;
  /** Statuses, beside 503, which may come at any time. */
  expect: readonly number[];
  /** Whether the call is idempotent, and so is repeated where its outcome is not known. */
  isRepeatable?: boolean;
  patienceMs?: number;
};
/** Null: the outcome is not known. */
export type ApiResponse<T> = { status: number; body: T } | null;

export type Api = <T = Record<string, unknown>>(
  method: Method,
  path: string,
  options: Options,
) => Promise<ApiResponse<T>>;

const callMs = 12_000;

/**
 * Calls an API process that runs, as a producer's client does, and again where the connection is refused. A status that
 * is not expected is a fault, and 500 always is.
 */
export function createApi(model: Model, key: string, apiUrls: () => string[]): Api {
  let calls = 0;
  return async <T>(method: Method, path: string, options: Options): Promise<ApiResponse<T>> => {
    const { body, headers = {}, expect, isRepeatable = false, patienceMs = 8000 } = options;
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const urls = apiUrls();
      calls += 1;
      const base = urls[calls % urls.length];
      const result = base === undefined ? 'refused' : await once(base + path);
      if (typeof result === 'object') return result as ApiResponse<T>;
      if (result === 'unknown' && !isRepeatable) return null;
      if (Date.now() > deadline || model.faults.length > 0) return null;
      await delay(100);
    }

    async function once(url: string): Promise<{ status: number; body: unknown } | 'refused' | 'unknown'> {
      try {
        const response = await fetch(url, {
          method,
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(callMs),
        });
        const text = await response.text();
        if (response.status === 503) return 'unknown';
        if (!expect.includes(response.status) || text.includes('internal_error'))
          model.faults.push(
            `${method} ${path}: unexpected response ${response.status}: ${text.slice(0, 500)}`,
          );
        return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as unknown) };
      } catch (error) {
        const { cause } = error as { cause?: { code?: string } };
        return cause?.code === 'ECONNREFUSED' ? 'refused' : 'unknown';
      }
    }
  };
}
