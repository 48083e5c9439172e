import { Agent, request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from './service.ts';

type Called = { status: number; body: string };

/** A call on a connection of the agent; by default, on one of its own. */
export async function callOn(
  url: string,
  key: string | null,
  { method = 'GET', body, agent, headers }: CallOptions = {},
): Promise<Called> {
  const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
  const sent = request(url, {
    method,
    agent: agent ?? false,
    headers: { ...authorization, ...headers },
    signal: AbortSignal.timeout(30_000),
  });
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode ?? 0, body: text };
}

type CallOptions = { method?: string; body?: unknown; agent?: Agent; headers?: Record<string, string> };

export type Load = {
  /** A status for each call; for one without a response, why. */
  results: (number | string)[];
  /** Waits until so many more events were accepted. */
  untilMore(count: number): Promise<void>;
  /** How many were accepted. */
  stop(): Promise<number>;
};

/** No more is published while so many deliveries wait: a slow machine gets events more slowly. */
const mostWaiting = 60;
const connections = 6;
const everyMs = 50;

/**
 * Publishes one event after the other on connections that stay open and are used in turn. `countReceived`: how many were
 * delivered so far.
 */
export function startLoad(apiUrl: string, key: string, countReceived: () => number): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' });
  const results: (number | string)[] = [];
  const over = new AbortController();
  const body = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const publish = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await until(
        () => accepted() - countReceived(),
        (waiting) => waiting < mostWaiting || over.signal.aborted,
      );
      results.push(
        await callOn(`${apiUrl}/v1/events`, key, { method: 'POST', body, agent }).then(
          ({ status }) => status,
          String,
        ),
      );
      await delay(everyMs);
    }
  };
  const accepted = () => results.filter((result) => result === 202).length;
  const publishing = Promise.all(Array.from({ length: connections }, publish));
  return {
    results,
    async untilMore(count) {
      const before = accepted();
      await until(accepted, (now) => now >= before + count);
    },
    async stop() {
      over.abort();
      await publishing;
      agent.destroy();
      return accepted();
    },
  };
}
