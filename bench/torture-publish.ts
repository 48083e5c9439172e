import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '../src/db/pool.ts';
import { newAccountKey, type AccountKey } from './targets.ts';
import type { Call } from './torture-disturbances.ts';
import { demandOf, policyOf } from './torture-policies.ts';
import { manners, type Manner, type TortureReceiver } from './torture-receiver.ts';

export const webhooksPerAccount = 10;
const publishers = 8;

/** `number`: in its path at the receiver. */
export type TortureWebhook = { id: string; key: string; manner: Manner; number: number; isOrdered: boolean };

/** Webhooks with receivers and policies of every kind, ten in an account. */
export async function createWebhooks(
  callApi: Call,
  pool: Pool,
  receiver: TortureReceiver,
  count: number,
): Promise<{ accounts: AccountKey[]; webhooks: TortureWebhook[] }> {
  const accounts: AccountKey[] = [];
  const webhooks: TortureWebhook[] = [];
  for (let number = 0; number < count; number += 1) {
    if (number % webhooksPerAccount === 0) accounts.push(await newAccountKey(pool, 'torture'));
    const key = accounts.at(-1)?.key ?? '';
    const manner = manners[number % manners.length] ?? 'healthy';
    const policy = policyOf(manner, number, receiver.tokenUrl);
    const body = { url: receiver.url(manner, number, demandOf(policy)), events: ['*'], ...policy };
    const { webhook_id: id } = (await callApi(key, 'POST', '/v1/webhooks', body)) as { webhook_id: string };
    webhooks.push({ id, key, manner, number, isOrdered: policy['ordering'] !== undefined });
  }
  return { accounts, webhooks };
}

/** One call, repeated until it succeeds or is refused as expected, because killed parts come back. */
export async function callUntilDone(
  apiUrl: string,
  key: string,
  method: string,
  path: string,
  body: unknown,
  refusals: readonly number[] = [],
): Promise<unknown> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    try {
      const response = await fetch(apiUrl + path, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(15_000),
      });
      if (response.ok || refusals.includes(response.status)) return await response.json();
      if (response.status < 500) throw new Error(await response.text());
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await delay(100);
  }
}

/**
 * Publishes while parts die, with ids of its own, so that a repeated call is one event. Adds the accepted events. Each publisher has
 * an order key, which the ids of its events begin with, and publishes one event after the other.
 */
export async function publishAll(
  callApi: Call,
  keys: readonly string[],
  events: number,
  everyMs: number,
  accepted: { id: string; key: string }[],
): Promise<void> {
  let next = 0;
  const publish = async (publisher: number): Promise<void> => {
    for (let number = next++; number < events; number = next++) {
      const event = {
        event: 'document.deleted',
        id: `evt_${publisher}_${number}`,
        data: { document_id: `doc_${number}`, dataset_id: 'ds' },
        order_key: `publisher_${publisher}`,
      };
      const key = keys[number % keys.length] ?? '';
      const response = (await callApi(key, 'POST', '/v1/events', event)) as { deliveries: { id: string }[] };
      accepted.push(...response.deliveries.map(({ id }) => ({ id, key })));
      await delay(everyMs * publishers);
    }
  };
  await Promise.all(Array.from({ length: publishers }, (_, publisher) => publish(publisher)));
}
