import { insertApiKey } from '../../src/db/api-keys-table.ts';
import { digestOfKey, hintOfKey } from '../../src/security/api-keys.ts';
import type { World } from './world.ts';

/** An event type that is defined through the API. The data that is published under it matches every definition. */
export const ownType = 'chaos.made';
/** The development account. */
export const accountId = 'acc_development';
export const serviceKey = 'chaos_key_of_a_service';

/** The key, and the first definition: from now on the type can be published. */
export async function addOwnType(world: World): Promise<void> {
  await insertApiKey(world.pool, {
    accountId: null,
    name: 'chaos',
    hint: hintOfKey(serviceKey),
    digest: digestOfKey(serviceKey),
    scopes: ['event-types:write', 'accounts:write'],
  });
  await defineType(world, false);
}

/** Replaces the definition, while events are published by all processes. */
export async function defineType({ serviceApi }: World, strict: boolean): Promise<void> {
  const schema = { type: 'object', required: ['dataset_id'], properties: { dataset_id: { const: 'ds' } } };
  const definition = strict ? { schema, validation: 'strict' } : {};
  await serviceApi('PUT', `/v1/event-types/${ownType}`, {
    body: { description: 'Made by chaos.', ...definition },
    expect: [200, 201],
    isRepeatable: true,
  });
}
