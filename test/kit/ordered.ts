import type { ServerResponse } from 'node:http';
import { acceptEvents } from '../../src/db/accept-events.ts';
import type { NewEvent } from '../../src/db/insert-events.ts';
import type { Queryable } from '../../src/db/pool.ts';
import { newId } from '../../src/domain/ids.ts';
import { wireBody } from '../../src/domain/wire-body.ts';
import { startReceiver, type Receiver } from './test-receiver.ts';
import { until, type Service } from './service.ts';

/** A request to an ordered webhook: of which key, and the number of the event among those of its key. */
export type Seen = { key: string; number: number; attempt: number };
export type OrderedReceiver = Receiver & {
  seen: Seen[];
  /** Requests that began while another one of their key was under way. */
  overlaps: string[];
};

/** A receiver that watches the order within each key. `respond`: with 200 after 5 ms by default. */
export async function startOrderedReceiver(
  respond: (seen: Seen, response: ServerResponse) => void = (_seen, response) =>
    void setTimeout(() => response.end('ok'), 5),
): Promise<OrderedReceiver> {
  const seen: Seen[] = [];
  const overlaps: string[] = [];
  const underWay = new Map<string, Set<Seen>>();
  const receiver = await startReceiver((request, response) => {
    const { data } = JSON.parse(request.body.toString()) as {
      data: { document_id: string; dataset_id: string };
    };
    const [key, number] = [data.document_id, Number(data.dataset_id)];
    const attempt = seen.filter((other) => other.key === key && other.number === number).length + 1;
    const now: Seen = { key, number, attempt };
    seen.push(now);
    const others = underWay.get(key) ?? new Set();
    underWay.set(key, others);
    for (const other of others) overlaps.push(`${key}: ${other.number} and ${number}`);
    others.add(now);
    response.on('close', () => others.delete(now));
    response.on('finish', () => others.delete(now));
    respond(now, response);
  });
  return { ...receiver, seen, overlaps };
}

/** The numbers of the first attempts of a key's events, in order. */
export const firstAttempts = ({ seen }: OrderedReceiver, key: string): number[] =>
  seen.filter((each) => each.key === key && each.attempt === 1).map(({ number }) => number);

/** The first attempt of each of `count` events of a key has been made; they are in order and none overlapped. */
export async function untilInOrder(receiver: OrderedReceiver, key: string, count: number): Promise<void> {
  await until(
    () => firstAttempts(receiver, key).length,
    (made) => made >= count,
  );
  const expected = Array.from({ length: count }, (_, index) => index + 1);
  const made = firstAttempts(receiver, key);
  if (made.join() !== expected.join()) throw new Error(`${key}: ${made.join()}`);
  if (receiver.overlaps.length > 0) throw new Error(receiver.overlaps.slice(0, 10).join('; '));
}

/** An event of a key, with its number among those of the key. */
type Keyed = { key: string; number: number; expiresAt?: Date | undefined };

const eventOf = ({ key, number, expiresAt }: Keyed) => ({
  event: 'document.deleted',
  data: { document_id: key, dataset_id: String(number) },
  order_key: key,
  expires_at: expiresAt?.toISOString(),
});

/** Publishes events of keys in one batch, in this order. Returns the ids of their deliveries. */
export async function publishKeyed(
  service: Pick<Service, 'call'>,
  events: readonly Keyed[],
): Promise<string[]> {
  const { status, body } = await service.call<{ data: { status: number; deliveries: { id: string }[] }[] }>(
    'POST',
    '/v1/events/batch',
    { events: events.map(eventOf) },
  );
  if (status !== 207 || body.data.some((each) => each.status !== 202)) throw new Error(JSON.stringify(body));
  return body.data.flatMap(({ deliveries }) => deliveries.map(({ id }) => id));
}

/** Writes such events where no API runs; again where its own connection was cut, which repeats none. */
export async function acceptKeyed(
  { pool, accountId }: { pool: Queryable; accountId: string },
  events: readonly Keyed[],
): Promise<void> {
  const timestamp = '2024-01-10T12:05:00Z';
  const accepted = events.map((each): NewEvent => {
    const [id, { event: type, data, order_key: orderKey }] = [newId('evt'), eventOf(each)];
    const body = wireBody({ id, event: type, timestamp, data });
    return {
      accountId,
      id,
      type,
      timestamp: null,
      acceptedTimestamp: timestamp,
      body,
      options: { orderKey, expiresAt: each.expiresAt },
    };
  });
  await until(
    () => acceptEvents(pool, accepted).then(() => 'accepted', String),
    (outcome) => outcome === 'accepted',
    20_000,
  );
}

/** So many events of one key, numbered from `from`. */
export const ofKey = (key: string, count: number, from = 1) =>
  Array.from({ length: count }, (_, index) => ({ key, number: from + index }));
