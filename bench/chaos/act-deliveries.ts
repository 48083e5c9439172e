import { actionsOf } from './model.ts';
import type { DeliveryRow } from './rows.ts';
import type { World } from './world.ts';

type Status = DeliveryRow['status'];

/** `count` deliveries of a state, consecutive in the log's first page from `index` on. */
async function choose(
  { api, oldRows }: World,
  status: Status,
  index: number,
  count: number,
): Promise<string[]> {
  const response = await api<{ data: { id: string }[] }>('GET', `/v1/deliveries?status=${status}&limit=100`, {
    expect: [200],
    patienceMs: 2000,
  });
  const renamed = new Set(oldRows.map(({ newId }) => newId));
  const ids = (response?.body.data ?? []).map(({ id }) => id).filter((id) => !renamed.has(id));
  return Array.from(
    { length: Math.min(count, ids.length) },
    (_, offset) => ids[(index + offset) % ids.length] ?? '',
  );
}

/** All at once. 409: its state has changed since, or its webhook is not active. */
async function onEach(
  world: World,
  status: Status,
  index: number,
  count: number,
  call: (id: string) => Promise<unknown>,
): Promise<void> {
  const ids = await choose(world, status, index, count);
  await Promise.all(ids.map(call));
}

export async function cancel(world: World, status: Status, index: number, count: number): Promise<void> {
  await cancelAll(world, await choose(world, status, index, count));
}

export async function cancelAll(world: World, ids: readonly string[]): Promise<void> {
  await Promise.all(
    ids.map((id) => {
      actionsOf(world.model, id).isCanceled = true;
      return world.api('POST', `/v1/deliveries/${id}/cancel`, { expect: [202, 409] });
    }),
  );
}

export async function retry(world: World, status: Status, index: number, count: number): Promise<void> {
  await onEach(world, status, index, count, (id) => {
    actionsOf(world.model, id).retries += 1;
    const force = status === 'delivered' ? '?force=true' : '';
    return world.api('POST', `/v1/deliveries/${id}/retry${force}`, { expect: [202, 409] });
  });
}

const farMs = 29 * 86_400_000;
const soonMs = 1000;

export async function reschedule(world: World, status: Status, index: number, isFar: boolean): Promise<void> {
  await onEach(world, status, index, 1, (id) => {
    const actions = actionsOf(world.model, id);
    actions.reschedules += 1;
    if (isFar) actions.isFar = true;
    return world.api('PATCH', `/v1/deliveries/${id}`, {
      body: { next_attempt_at: new Date(Date.now() + (isFar ? farMs : soonMs)).toISOString() },
      // 422: a second has passed before it was read.
      expect: isFar ? [200, 409] : [200, 409, 422],
    });
  });
}
