import { actionsOf } from './model.ts';
import type { DeliveryRow } from './rows.ts';
import type { World } from './world.ts';

type Status = DeliveryRow['status'];
type Chosen = { id: string; attempt_count: number; expires_at: string | null };

const ended: readonly Status[] = ['delivered', 'failed', 'canceled'];

/** `count` deliveries of a state, consecutive in the log's first page from `index` on. */
async function choose(
  { api, oldRows }: World,
  status: Status,
  index: number,
  count: number,
): Promise<Chosen[]> {
  const response = await api<{ data: Chosen[] }>('GET', `/v1/deliveries?status=${status}&limit=100`, {
    expect: [200],
    patienceMs: 2000,
  });
  const renamed = new Set(oldRows.map(({ newId }) => newId));
  const shown = (response?.body.data ?? []).filter(({ id }) => !renamed.has(id));
  const from = index % Math.max(1, shown.length);
  return [...shown.slice(from), ...shown.slice(0, from)].slice(0, count);
}

/** All at once. 409: its state has changed since, or its webhook is not active. */
async function onEach(
  world: World,
  status: Status,
  index: number,
  count: number,
  call: (chosen: Chosen) => Promise<unknown>,
): Promise<void> {
  const chosen = await choose(world, status, index, count);
  await Promise.all(chosen.map(call));
}

export async function cancel(world: World, status: Status, index: number, count: number): Promise<void> {
  const chosen = await choose(world, status, index, count);
  await cancelAll(
    world,
    chosen.map(({ id }) => id),
  );
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
  await onEach(world, status, index, count, async ({ id, attempt_count: attempts }) => {
    const actions = actionsOf(world.model, id);
    actions.retries += 1;
    const force = status === 'delivered' ? '?force=true' : '';
    const response = await world.api('POST', `/v1/deliveries/${id}/retry${force}`, { expect: [202, 409] });
    if (response?.status === 202 && ended.includes(status)) actions.attemptsAtRetry = attempts;
  });
}

const farMs = 29 * 86_400_000;
const soonMs = 1000;

export async function reschedule(world: World, status: Status, index: number, isFar: boolean): Promise<void> {
  await onEach(world, status, index, 1, ({ id, expires_at: expiresAt }) => {
    const actions = actionsOf(world.model, id);
    actions.reschedules += 1;
    if (isFar) actions.isFar = true;
    return world.api('PATCH', `/v1/deliveries/${id}`, {
      body: { next_attempt_at: new Date(Date.now() + (isFar ? farMs : soonMs)).toISOString() },
      // 422: a second has passed before it was read, or the delivery expires before that time.
      expect: isFar && expiresAt === null ? [200, 409] : [200, 409, 422],
    });
  });
}
