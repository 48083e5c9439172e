import type { StreamEvent } from '../contracts/change.ts';
import {
  FltrWebhooksError,
  fetchCall,
  noResponse,
  toError,
  type Call,
  type ClientOptions,
} from './request.ts';

type Streamed = {
  call: Pick<Call, 'path' | 'query'>;
  accept: string;
  /** Without any data. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
};

/**
 * The lines of a response, one after the other, as fast as they are taken.
 *
 * @returns the text after the last line feed
 */
async function* linesOf(
  options: ClientOptions,
  { call, accept, timeoutMs, signal }: Streamed,
): AsyncGenerator<string, string, undefined> {
  const { url = 'http://localhost:3000' } = options;
  const request: Call = { ...call, method: 'GET', isRepeatable: true };
  const stop = new AbortController();
  const stopBy = () => stop.abort(signal?.reason);
  signal?.addEventListener('abort', stopBy);
  if (signal?.aborted) stopBy();
  const inTime = async <T>(step: Promise<T>): Promise<T> => {
    const timer = setTimeout(() => stop.abort(new DOMException('timeout', 'TimeoutError')), timeoutMs);
    try {
      return await step;
    } catch (error) {
      throw noResponse(request, url, stop.signal.aborted ? stop.signal.reason : error);
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    const response = await inTime(fetchCall(options, request, { accept, signal: stop.signal }));
    if (!response.ok || response.body === null) throw toError(response, await inTime(response.text()));
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const { done, value } = await inTime(reader.read());
      if (done) return rest;
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } finally {
    signal?.removeEventListener('abort', stopBy);
    stop.abort();
  }
}

/**
 * The rows of an export. `timeoutMs` limits the time without any data.
 *
 * @throws FltrWebhooksError also where the connection ends before the export does
 */
export async function* streamRows<Row>(
  options: ClientOptions,
  call: Pick<Call, 'path' | 'query'>,
): AsyncGenerator<Row, void, undefined> {
  const { timeoutMs = 30_000 } = options;
  const lines = linesOf(options, { call, accept: 'application/x-ndjson', timeoutMs });
  try {
    for (;;) {
      const { done, value } = await lines.next();
      if (!done) {
        yield JSON.parse(value) as Row;
        continue;
      }
      if (value === '') return;
      throw new FltrWebhooksError('The export broke off.', { status: 200, code: 'malformed_response' });
    }
  } finally {
    await lines.return('');
  }
}

/** The service sends a ping every 15 s. */
const silentMs = 40_000;

/** The events of `GET /v1/stream`, until it ends. @throws FltrWebhooksError */
export async function* streamEvents(
  options: ClientOptions,
  signal?: AbortSignal,
): AsyncGenerator<StreamEvent, void, undefined> {
  const call = { path: '/v1/stream' };
  const lines = linesOf(options, { call, accept: 'text/event-stream', timeoutMs: silentMs, signal });
  let type = '';
  for await (const line of lines) {
    if (line.startsWith('event: ')) type = line.slice(7);
    if (!line.startsWith('data: ')) continue;
    const data = JSON.parse(line.slice(6)) as object;
    if (type === 'ready' || type === 'ping' || type === 'changed') yield { ...data, type } as StreamEvent;
  }
}
