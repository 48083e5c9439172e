import { setTimeout as delay } from 'node:timers/promises';
import type { Webhook } from './model.ts';
import type { Behaviour } from './receivers.ts';
import type { Order } from './scenario.ts';
import type { World } from './world.ts';

const filterLists = [
  ['*'],
  ['document.*'],
  ['dataset.deleted'],
  ['*', 'delivery.*', 'webhook.*'],
  ['chaos.*'],
] as const;
const mostWebhooks = 6;

let created = 0;

/** Created for certain, and no call to delete them was made. */
export function usable({ model }: World): (Webhook & { id: string })[] {
  return model.webhooks.filter(
    (webhook): webhook is Webhook & { id: string } => webhook.id !== null && webhook.deleteSentAt === null,
  );
}

export function choose(world: World, index: number): (Webhook & { id: string }) | null {
  const all = usable(world);
  return all[index % all.length] ?? null;
}

type NewWebhook = { filters: number; active: boolean; behaviour: Behaviour; order: Order };

export async function createWebhook(
  world: World,
  { filters, active, behaviour, order }: NewWebhook,
): Promise<void> {
  const { model, receivers, api } = world;
  if (usable(world).length >= mostWebhooks) return;
  created += 1;
  const webhook: Webhook = {
    id: null,
    path: `/${created}`,
    filters: filterLists[filters % filterLists.length] ?? ['*'],
    createSentAt: Date.now(),
    createdAt: null,
    deleteSentAt: null,
    deletedAt: null,
    activations: 0,
    isDiscarded: false,
    recoveries: 0,
    operations: 0,
    isCanceledInBulk: false,
    policies: [{ value: 'plain', sentAt: 0, doneAt: 0 }],
    ordering: order === 'none' ? null : order === 'all' ? 'all' : 'by_key',
  };
  model.webhooks.push(webhook);
  receivers.behave(webhook.path, behaviour);
  const response = await api<{ webhook_id: string }>('POST', '/v1/webhooks', {
    body: {
      url: receivers.url(webhook.path),
      events: webhook.filters,
      active,
      ...(webhook.ordering && { ordering: webhook.ordering }),
      ...(order === 'blocking' && { on_failure: 'block' }),
    },
    headers: { 'idempotency-key': `webhook-${created}` },
    expect: [201],
    isRepeatable: true,
  });
  if (response?.status !== 201) return;
  webhook.id = response.body.webhook_id;
  webhook.createdAt = Date.now();
}

/** Activates one that may not be active. */
export const activate = (world: World, webhook: Webhook & { id: string }): Promise<void> =>
  patchActive(world, webhook, true, false);

/** Ends the blocking of lines by failed deliveries. */
export async function endBlocks(world: World): Promise<void> {
  for (const { id, ordering } of usable(world))
    if (ordering !== null)
      await world.api('PATCH', `/v1/webhooks/${id}`, {
        body: { on_failure: 'skip' },
        expect: [200],
        isRepeatable: true,
        patienceMs: 4000,
      });
}

async function patchActive(
  { api }: World,
  webhook: Webhook & { id: string },
  active: boolean,
  discard: boolean,
): Promise<void> {
  if (active) webhook.activations += 1;
  if (active && discard) webhook.isDiscarded = true;
  await api('PATCH', `/v1/webhooks/${webhook.id}`, {
    body: { active, ...(active && discard ? { held: 'discard' } : {}) },
    expect: [200],
    isRepeatable: true,
    patienceMs: 4000,
  });
}

export async function setActive(
  world: World,
  index: number,
  active: boolean,
  discard: boolean,
): Promise<void> {
  const webhook = choose(world, index);
  if (webhook) await patchActive(world, webhook, active, discard);
}

/** Off and on again, in a row; it ends active. */
export async function toggle(world: World, index: number, times: number, everyMs: number): Promise<void> {
  const webhook = choose(world, index);
  if (!webhook) return;
  for (let time = 0; time < times && world.model.faults.length === 0; time += 1) {
    await patchActive(world, webhook, false, false);
    await delay(everyMs);
    await patchActive(world, webhook, true, false);
    await delay(everyMs);
  }
}

export async function activateAll(world: World): Promise<void> {
  for (const webhook of usable(world)) await activate(world, webhook);
}

export async function deleteWebhook(world: World, index: number): Promise<void> {
  const webhook = choose(world, index);
  if (!webhook || usable(world).length === 1) return;
  webhook.deleteSentAt = Date.now();
  const response = await world.api('DELETE', `/v1/webhooks/${webhook.id}`, {
    // 404: an earlier call, whose response was lost, has deleted it.
    expect: [204, 404],
    isRepeatable: true,
  });
  if (response) webhook.deletedAt = Date.now();
}

export async function rotateSecret(world: World, index: number): Promise<void> {
  const webhook = choose(world, index);
  if (!webhook) return;
  // 409: an overlap is running.
  await world.api('POST', `/v1/webhooks/${webhook.id}/rotate-secret`, { body: {}, expect: [200, 409] });
}

/** Recovers failed and missed deliveries. After a removal of old rows only failed ones: a removed one would count as missed. */
export async function recover(world: World, index: number, onlyFailed: boolean): Promise<void> {
  const webhook = choose(world, index);
  if (!webhook) return;
  webhook.recoveries += 1;
  const only = onlyFailed || world.oldRows.length > 0 ? { only: 'failed' } : {};
  const response = await world.api<{ id: string }>('POST', `/v1/webhooks/${webhook.id}/recover`, {
    body: { since: new Date(Date.now() - 3_600_000).toISOString(), ...only },
    // 409: it is not active.
    expect: [202, 409],
  });
  if (response?.status === 202) world.model.recoveryIds.add(response.body.id);
}

export function behave(world: World, index: number, behaviour: Behaviour): void {
  const webhook = choose(world, index);
  if (webhook) world.receivers.behave(webhook.path, behaviour);
}
