import {
  FltrWebhooksError,
  fetchCall,
  noResponse,
  toError,
  type Call,
  type ClientOptions,
} from './request.ts';

/**
 * The rows of an export, one after the other, as fast as they are taken. `timeoutMs` limits the time without any data.
 *
 * @throws FltrWebhooksError also where the connection ends before the export does
 */
export async function* streamRows<Row>(
  options: ClientOptions,
  call: Pick<Call, 'path' | 'query'>,
): AsyncGenerator<Row, void, undefined> {
  const { url = 'http://localhost:3000', timeoutMs = 30_000 } = options;
  const request: Call = { ...call, method: 'GET', isRepeatable: true };
  const stop = new AbortController();
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
    const response = await inTime(
      fetchCall(options, request, { accept: 'application/x-ndjson', signal: stop.signal }),
    );
    if (!response.ok || response.body === null) throw toError(response, await inTime(response.text()));
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const { done, value } = await inTime(reader.read());
      if (done) break;
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as Row;
    }
    if (rest !== '')
      throw new FltrWebhooksError('The export broke off.', { status: 200, code: 'malformed_response' });
  } finally {
    stop.abort();
  }
}
