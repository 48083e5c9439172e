import { setTimeout as delay } from 'node:timers/promises';
import { choose, usable } from './act-webhooks.ts';
import type { Webhook } from './model.ts';
import { changeTo, type Policy } from './policies.ts';
import type { World } from './world.ts';

/** Gives a webhook another policy while its deliveries are under way. */
export async function setPolicy(world: World, index: number, policy: Policy): Promise<void> {
  const webhook = choose(world, index);
  if (webhook) await setPolicyOf(world, webhook, policy);
}

/** At so low a rate, the waiting deliveries at the end would take minutes. */
export async function liftRates(world: World): Promise<void> {
  for (const webhook of usable(world))
    if (webhook.policies.at(-1)?.value === 'rate') await setPolicyOf(world, webhook, 'plain');
}

export async function setPolicyOf(
  world: World,
  webhook: Webhook & { id: string },
  policy: Policy,
): Promise<void> {
  const setting = { value: policy, sentAt: Date.now(), doneAt: null as number | null };
  webhook.policies.push(setting);
  const response = await world.api('PATCH', `/v1/webhooks/${webhook.id}`, {
    body: changeTo(policy),
    expect: [200],
    isRepeatable: true,
    patienceMs: 4000,
  });
  if (response) setting.doneAt = Date.now();
}

/** Pauses a webhook until a time that comes during the run. */
export async function pauseUntil(world: World, index: number, ms: number): Promise<void> {
  const webhook = choose(world, index);
  if (!webhook) return;
  // By itself, once for each call.
  webhook.activations += 1;
  await world.api('POST', `/v1/webhooks/${webhook.id}/pause`, {
    body: { until: new Date(Date.now() + ms).toISOString(), reason: 'chaos' },
    expect: [200],
    isRepeatable: true,
    patienceMs: 4000,
  });
}

const limitMs = 30_000;

/** Until no webhook is paused until a time: it would be activated while the facts are read. */
export async function joinPauses({ api, model }: World): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (model.faults.length === 0) {
    const response = await api<{ data: { paused?: { until: string | null } | null }[] }>(
      'GET',
      '/v1/webhooks?limit=100',
      { expect: [200], isRepeatable: true },
    );
    if (response?.body.data.every(({ paused }) => (paused?.until ?? null) === null)) return;
    if (Date.now() > deadline) model.faults.push('a pause until a time did not end');
    await delay(200);
  }
}

export async function resume(world: World, index: number, perSecond: number | null): Promise<void> {
  const webhook = choose(world, index);
  if (!webhook) return;
  webhook.activations += 1;
  await world.api('POST', `/v1/webhooks/${webhook.id}/resume`, {
    body: perSecond === null ? {} : { per_second: perSecond },
    expect: [200],
    isRepeatable: true,
    patienceMs: 4000,
  });
}
