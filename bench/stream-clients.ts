import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { serveCalls } from './remote.ts';

/** Clients that hold `GET /v1/stream` open and read it, in a process of their own. */
type StreamsInput = {
  apiUrl: string;
  /** Used in turn, one a stream. */
  keys: readonly string[];
  count: number;
};

const open = new Set<ClientRequest>();
let changes = 0;

/** Until all are `ready`. */
async function openStreams({ apiUrl, keys, count }: StreamsInput): Promise<void> {
  for (let number = 0; number < count; number += 1) await openOne(apiUrl, keys[number % keys.length] ?? '');
}

async function openOne(apiUrl: string, key: string): Promise<void> {
  const sent = request(`${apiUrl}/v1/stream`, { agent: false, headers: { authorization: `Bearer ${key}` } });
  open.add(sent);
  sent.on('error', () => undefined);
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`A stream was refused: ${response.statusCode}`);
  const ready = Promise.withResolvers<void>();
  response.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('event: ready')) ready.resolve();
    changes += text.split('event: changed').length - 1;
  });
  response.on('error', () => undefined);
  response.on('close', () => ready.reject(new Error('A stream ended')));
  await ready.promise;
}

/** Ends all; returns how many changes they got. */
function closeStreams(): number {
  for (const sent of open) sent.destroy();
  open.clear();
  const received = changes;
  changes = 0;
  return received;
}

const calls = { openStreams, closeStreams };
export type StreamCalls = typeof calls;

if (process.argv[1] === import.meta.filename) serveCalls(calls);
