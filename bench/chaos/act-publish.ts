import { setTimeout as delay } from 'node:timers/promises';
import type { Event } from './model.ts';
import { ownType } from './act-types.ts';
import type { World } from './world.ts';

type Accepted = { id: string; duplicate: boolean; deliveries: { id: string; webhook_id: string }[] };

const types = ['document.deleted', 'dataset.deleted', ownType] as const;

let published = 0;

function newEvent({ model }: World, type: number): { event: Event; body: Record<string, unknown> } {
  published += 1;
  const id = `evt_chaos_${published}`;
  const name = types[type % types.length] ?? types[0];
  const orderKey = published % 4 === 0 ? null : `key_${published % 3}`;
  const labels = published % 2 === 0 ? [] : ['odd'];
  const event: Event = {
    id,
    type: name,
    labels,
    sentAt: Date.now(),
    acceptedAt: null,
    deliveries: [],
    deliverAt: null,
    expiresAt: null,
    webhookIds: null,
    orderKey,
    batch: null,
  };
  model.events.set(id, event);
  const data = {
    dataset_id: 'ds',
    ...(name === 'document.deleted' ? { document_id: `doc_${published}` } : {}),
  };
  return {
    event,
    body: {
      id,
      event: name,
      data,
      ...(labels.length === 0 ? {} : { labels }),
      ...(orderKey !== null && { order_key: orderKey }),
    },
  };
}

function accept({ model }: World, event: Event, accepted: Accepted, isReplay: boolean): void {
  const deliveries = accepted.deliveries.map(({ id, webhook_id: webhookId }) => ({ id, webhookId }));
  if (event.acceptedAt === null) {
    event.acceptedAt = Date.now();
    event.deliveries = deliveries;
    return;
  }
  // A repeated call gets the same deliveries; `recover` may have added others since.
  const missing = event.deliveries.filter(({ id }) => !deliveries.some((each) => each.id === id));
  if (missing.length > 0)
    model.faults.push(`${event.id} was published again, and its response lacks ${missing[0]?.id}`);
  if (!accepted.duplicate && !isReplay)
    model.faults.push(`${event.id} was published again, and its response does not say duplicate`);
}

/** One event, the same call `times` times. A call whose outcome is not known is repeated: by its id it is one event. */
export async function publish(world: World, type: number, times: number): Promise<void> {
  const { event, body } = newEvent(world, type);
  for (let time = 0; time < times; time += 1) {
    const response = await world.api<Accepted>('POST', '/v1/events', {
      body,
      expect: [202],
      isRepeatable: true,
    });
    if (response?.status === 202) accept(world, event, response.body, false);
  }
}

/** One event with a time, an end or the webhook that gets it. */
export async function publishWithOptions(
  world: World,
  {
    type,
    inMs,
    expiresMs,
    named,
    webhook,
  }: { type: number; inMs: number | null; expiresMs: number | null; named: boolean; webhook: number },
): Promise<void> {
  const { event, body } = newEvent(world, type);
  const ids = world.model.webhooks.flatMap(({ id, deleteSentAt }) =>
    id === null || deleteSentAt !== null ? [] : [id],
  );
  const chosen = ids[webhook % Math.max(1, ids.length)];
  if (inMs !== null) event.deliverAt = event.sentAt + inMs;
  if (expiresMs !== null) event.expiresAt = Math.max(event.sentAt, event.deliverAt ?? 0) + 200 + expiresMs;
  if (named && chosen !== undefined) event.webhookIds = [chosen];
  const options = {
    ...(event.deliverAt === null ? {} : { deliver_at: new Date(event.deliverAt).toISOString() }),
    ...(event.expiresAt === null ? {} : { expires_at: new Date(event.expiresAt).toISOString() }),
    ...(event.webhookIds === null ? {} : { webhook_ids: event.webhookIds }),
  };
  const response = await world.api<Accepted>('POST', '/v1/events', {
    body: { ...body, ...options },
    // 422: it had expired when the call was read, or its webhook was deleted meanwhile.
    expect: [202, 422],
    isRepeatable: true,
  });
  if (response?.status === 202) accept(world, event, response.body, false);
}

/** With an Idempotency-Key, for which the service stores the response. */
export async function publishWithKey(world: World, type: number, times: number): Promise<void> {
  const { event, body } = newEvent(world, type);
  for (let time = 0; time < times; time += 1) {
    const response = await world.api<Accepted>('POST', '/v1/events', {
      body,
      headers: { 'idempotency-key': `key-${event.id}` },
      expect: [202],
      isRepeatable: true,
    });
    if (response?.status === 202) accept(world, event, response.body, true);
  }
}

type Batch = { count: number; times: number; withKey: boolean; webhookId?: string };

/** A batch, the same call `times` times; with an Idempotency-Key, a repeated call gets the first response. */
export async function publishBatch(world: World, { count, times, withKey, webhookId }: Batch): Promise<void> {
  const named = webhookId === undefined ? null : [webhookId];
  const events = Array.from({ length: count }, (_, index) => newEvent(world, index));
  for (const { event } of events) event.webhookIds = named;
  const number = published;
  for (let time = 0; time < times; time += 1) {
    const response = await world.api<{ data: ({ status: number } & Accepted)[] }>(
      'POST',
      '/v1/events/batch',
      {
        body: { events: events.map(({ body }) => ({ ...body, ...(named && { webhook_ids: named }) })) },
        headers: withKey ? { 'idempotency-key': `key-${events[0]?.event.id}` } : {},
        expect: [207],
        isRepeatable: true,
      },
    );
    const results = response?.body.data ?? [];
    // Accepted by one call, so in their order.
    const isOne =
      results.every(({ status, duplicate }) => status === 202 && duplicate === results[0]?.duplicate) &&
      events.every(({ event }) => event.acceptedAt === null);
    if (isOne) for (const [index, { event }] of events.entries()) event.batch = { number, index };
    for (const [index, result] of results.entries()) {
      const event = events[index]?.event;
      // 422: its webhook was deleted meanwhile.
      const isRefused = result.status === 503 || (result.status === 422 && named !== null);
      if (result.status === 202 && event) accept(world, event, result, withKey);
      else if (!isRefused || withKey)
        world.model.faults.push(`An event of a batch got the result ${JSON.stringify(result)}`);
    }
  }
}

/** Events for one webhook alone. */
export const publishTo = (world: World, webhookId: string, count: number): Promise<void> =>
  publishBatch(world, { count, times: 1, withKey: false, webhookId });

/** Several producers at once, each one event after the other. */
export async function publishMany(
  world: World,
  {
    publishers,
    each,
    withKey,
    everyMs,
  }: { publishers: number; each: number; withKey: boolean; everyMs: number },
): Promise<void> {
  const one = async (publisher: number): Promise<void> => {
    for (let count = 0; count < each && world.model.faults.length === 0; count += 1) {
      await (withKey ? publishWithKey : publish)(world, publisher, 1);
      await delay(everyMs);
    }
  };
  await Promise.all(Array.from({ length: publishers }, (_, publisher) => one(publisher)));
}
