import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { nowMs } from './clock.ts';
import { serveCalls } from './remote.ts';

/**
 * The load generator, a process of its own. Bodies are made before the first call; calls go to the services in turn.
 */
export type LoadInput = {
  apiUrls: readonly string[];
  /** Used in turn, one a call. */
  keys: readonly string[];
  /** With a service key: each event names one of these, in turn. */
  accountIds?: readonly string[];
  /** The data is the same for every type. */
  eventType?: string;
  /** When their deliveries make their first attempt, RFC 3339; without it, at once. */
  deliverAt?: string;
  /** Event number n has the order key number n modulo this; without it, none has one. */
  orderKeys?: number;
  /** Event number n has the id `<prefix>_n`. */
  idPrefix: string;
  events: number;
  /** Events a call; 1: no batch. */
  batch: number;
  /** A number of calls at a time, or a number of events a second, without waiting for responses. */
  pace: { callers: number } | { perSecond: number };
  /** No call begins after this time. */
  limitMs: number;
};

export type LoadResult = {
  startedAt: number;
  endedAt: number;
  /** By event: just before its call. NaN: never called. */
  calledAt: Float64Array;
  /** By event: 1, accepted. */
  accepted: Uint8Array;
  /** By call. */
  publishMs: Float64Array;
  /** Other responses, and how many of each. */
  refused: Record<string, number>;
};

/** Bytes of each event's `data`. */
export const dataBytes = 500;
const callTimeoutMs = 30_000;
const openConnections = 64;

/** Of `document.uploaded`. */
export function eventData(number: number) {
  const data = { document_id: `doc_${number}`, dataset_id: 'ds_bench', metadata: { text: '' } };
  data.metadata.text = 'A document of the load. '
    .repeat(21)
    .slice(0, dataBytes - JSON.stringify(data).length);
  return data;
}

function eventText(
  number: number,
  { idPrefix, eventType = 'document.uploaded', accountIds, deliverAt, orderKeys }: LoadInput,
): string {
  const data = eventData(number);
  const accountId = accountIds?.[number % accountIds.length];
  return JSON.stringify({
    event: eventType,
    id: `${idPrefix}_${number}`,
    data,
    ...(accountId === undefined ? {} : { account_id: accountId }),
    ...(deliverAt === undefined ? {} : { deliver_at: deliverAt }),
    ...(orderKeys === undefined ? {} : { order_key: `key_${number % orderKeys}` }),
  });
}

async function publishAll(input: LoadInput): Promise<LoadResult> {
  const { apiUrls, keys, events, batch, pace, limitMs } = input;
  const calls = Math.ceil(events / batch);
  const texts = Array.from({ length: events }, (_, number) => eventText(number, input));
  const bodies = Array.from({ length: calls }, (_, call) => {
    const own = texts.slice(call * batch, (call + 1) * batch);
    return Buffer.from(batch === 1 ? (own[0] ?? '') : `{"events":[${own.join(',')}]}`);
  });
  const headers = keys.map((key) => ['authorization', `Bearer ${key}`, 'content-type', 'application/json']);
  const connections = 'callers' in pace ? pace.callers : openConnections;
  const pools = apiUrls.map((url) => new Pool(url, { connections, keepAliveTimeout: 60_000 }));
  const path = batch === 1 ? '/v1/events' : '/v1/events/batch';
  const calledAt = new Float64Array(events).fill(NaN);
  const accepted = new Uint8Array(events);
  const publishMs = new Float64Array(calls).fill(NaN);
  const refused: Record<string, number> = {};

  const publish = async (call: number): Promise<void> => {
    const [from, to] = [call * batch, Math.min(events, (call + 1) * batch)];
    const at = nowMs();
    calledAt.fill(at, from, to);
    let outcome: string;
    try {
      const { statusCode, body } = await (pools[call % pools.length] as Pool).request({
        method: 'POST',
        path,
        headers: headers[call % headers.length] ?? [],
        body: bodies[call] ?? '',
        headersTimeout: callTimeoutMs,
        bodyTimeout: callTimeoutMs,
      });
      outcome = String(statusCode);
      if (batch === 1) {
        await body.dump();
        if (statusCode === 202) accepted[from] = 1;
      } else {
        const accepts = (await body.text()).split('"status":202').length - 1;
        // All or none: no event of the load is invalid.
        if (accepts === to - from) accepted.fill(1, from, to);
        else outcome = `${statusCode} with ${accepts} of ${to - from} accepted`;
      }
    } catch (error) {
      outcome = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    }
    publishMs[call] = nowMs() - at;
    if (accepted[from] === 0) refused[outcome] = (refused[outcome] ?? 0) + 1;
  };

  const startedAt = nowMs();
  const isOver = () => nowMs() - startedAt > limitMs;
  if ('callers' in pace) {
    let next = 0;
    const caller = async (): Promise<void> => {
      for (let call = next++; call < calls && !isOver(); call = next++) await publish(call);
    };
    await Promise.all(Array.from({ length: pace.callers }, caller));
  } else {
    const everyMs = (1000 / pace.perSecond) * batch;
    const underWay: Promise<void>[] = [];
    for (let call = 0; call < calls && !isOver(); call += 1) {
      const inMs = startedAt + call * everyMs - nowMs();
      if (inMs > 0) await delay(inMs);
      underWay.push(publish(call));
    }
    await Promise.all(underWay);
  }
  const endedAt = nowMs();
  await Promise.all(pools.map((pool) => pool.destroy()));
  return { startedAt, endedAt, calledAt, accepted, publishMs, refused };
}

const calls = { publishAll };
export type LoadCalls = typeof calls;

if (process.argv[1] === import.meta.filename) serveCalls(calls);
