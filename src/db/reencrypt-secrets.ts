import { signingKeyContext } from '../domain/signing-key.ts';
import { StartError } from '../errors.ts';
import { insertAuditRecord } from './audit-records.ts';
import type { Box } from './encryption-keys.ts';
import { responseContext } from './idempotency-keys.ts';
import { withTransaction, type Pool } from './pool.ts';
import { reencryptPayloads, type PayloadBox } from './reencrypt-payloads.ts';
import { authContext, headersContext } from './webhook-policy.ts';

const batchSize = 200;
/** A process that still encrypts with another key adds values in each round. */
const maxRounds = 5;

/** A column of sealed values. `key`: the columns of its table's primary key, all of type text. */
type SealedColumn = {
  /** The count that it belongs to. */
  kind: 'secrets' | 'previousSecrets' | 'responses';
  table: string;
  key: readonly string[];
  column: string;
  contextOf(key: readonly string[]): string;
  /** The value in words. */
  describe(key: readonly string[]): string;
};

const secretOfWebhook = {
  table: 'webhooks',
  key: ['id'],
  contextOf: ([id = '']) => id,
  describe: ([id]) => `The secret of ${id}`,
} satisfies Partial<SealedColumn>;

const keyOfWebhook = {
  ...secretOfWebhook,
  contextOf: ([id = '']) => signingKeyContext(id),
  describe: ([id]) => `The ed25519 key of ${id}`,
} satisfies Partial<SealedColumn>;

const columns: readonly SealedColumn[] = [
  { ...secretOfWebhook, kind: 'secrets', column: 'sealed_secret' },
  { ...secretOfWebhook, kind: 'previousSecrets', column: 'previous_sealed_secret' },
  { ...keyOfWebhook, kind: 'secrets', column: 'sealed_signing_key' },
  { ...keyOfWebhook, kind: 'previousSecrets', column: 'previous_sealed_signing_key' },
  {
    ...secretOfWebhook,
    kind: 'secrets',
    column: 'sealed_headers',
    contextOf: ([id = '']) => headersContext(id),
    describe: ([id]) => `A header of ${id}`,
  },
  {
    ...secretOfWebhook,
    kind: 'secrets',
    column: 'sealed_auth',
    contextOf: ([id = '']) => authContext(id),
    describe: ([id]) => `The auth of ${id}`,
  },
  {
    kind: 'responses',
    table: 'idempotency_keys',
    key: ['account_id', 'api_key_id', 'route', 'key'],
    column: 'sealed_response',
    contextOf: ([accountId = '', apiKeyId = '', route = '', key = '']) =>
      responseContext(accountId, apiKeyId, route, key),
    describe: ([, apiKeyId]) => `The response stored for an Idempotency-Key of ${apiKeyId}`,
  },
];

/**
 * Encrypts again, with the current key, everything that another key encrypted, and removes the other keys. Each value is
 * replaced only if it is still the one that was read, so the service may keep running, and the next run continues an
 * interrupted one.
 *
 * @returns how many values of each kind were replaced, and the ids of the keys that were removed
 * @throws StartError when a value cannot be opened, or another process still encrypts with another key
 */
export async function reencrypt(pool: Pool, box: Box, payloadBox: PayloadBox, actor: string) {
  const counts = { secrets: 0, previousSecrets: 0, responses: 0, eventBodies: 0, receiverResponses: 0 };
  // A secret that no longer signs needs no new key.
  await pool.query(
    `update webhooks set previous_sealed_secret = null, previous_secret_until = null, previous_sealed_signing_key = null
     where previous_secret_until <= now()`,
  );
  for (let round = 1; round <= maxRounds; round += 1) {
    let found = 0;
    for (const column of columns) {
      const done = await reencryptColumn(pool, box, column);
      counts[column.kind] += done.replaced;
      found += done.found;
    }
    const payloads = await reencryptPayloads(pool, payloadBox);
    counts.eventBodies += payloads.bodies.replaced;
    counts.receiverResponses += payloads.responses.replaced;
    found += payloads.bodies.other + payloads.responses.other;
    if (found === 0) return { ...counts, removedKeys: await removeOtherKeys(pool, box, actor) };
  }
  throw new StartError(
    `A process of the service still encrypts with another key than "${box.currentKeyId}". Restart every process with this key first in FLTR_ENCRYPTION_KEYS, then run this again.`,
  );
}

/** Batch after batch; each begins where the one before ended. */
async function reencryptColumn(pool: Pool, box: Box, sealedColumn: SealedColumn) {
  const { table, key, column } = sealedColumn;
  const keyColumns = key.join(', ');
  const all = { found: 0, replaced: 0 };
  for (let after: readonly string[] | undefined = key.map(() => ''); after;) {
    const { rows }: { rows: { values: string[]; sealed: string }[] } = await pool.query(
      `select array[${keyColumns}] as values, ${column} as sealed from ${table}
       where ${column} is not null and split_part(${column}, '.', 1) <> $1
         and (${keyColumns}) > (${key.map((_, index) => `$${index + 3}`).join(', ')})
       order by ${keyColumns} limit $2`,
      [box.currentKeyId, batchSize, ...after],
    );
    const arrays = [...key, 'was', 'sealed'].map((_, index) => `$${index + 1}::text[]`);
    const updated = await pool.query(
      `update ${table} as stored set ${column} = renewed.sealed
       from unnest(${arrays.join(', ')}) as renewed(${keyColumns}, was, sealed)
       where ${key.map((name) => `stored.${name} = renewed.${name}`).join(' and ')} and stored.${column} = renewed.was`,
      [
        ...key.map((_, index) => rows.map(({ values }) => values[index])),
        rows.map(({ sealed }) => sealed),
        rows.map(({ values, sealed }) => renew(box, sealed, sealedColumn, values)),
      ],
    );
    all.found += rows.length;
    all.replaced += updated.rowCount ?? 0;
    after = rows.at(-1)?.values;
  }
  return all;
}

function renew(box: Box, sealed: string, column: SealedColumn, key: readonly string[]): string {
  const context = column.contextOf(key);
  try {
    return box.seal(box.open(sealed, context), context);
  } catch {
    throw new StartError(
      `${column.describe(key)} cannot be decrypted: it was changed in the database. Restore it from a backup or delete it, then run this again.`,
    );
  }
}

/** From now on a start needs only the current key. */
async function removeOtherKeys(pool: Pool, box: Box, actor: string): Promise<string[]> {
  return withTransaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `delete from encryption_keys where id <> $1 returning id`,
      [box.currentKeyId],
    );
    await insertAuditRecord(client, {
      accountId: null,
      actor,
      action: 'encryption_keys.reencrypted',
      target: box.currentKeyId,
    });
    return rows.map(({ id }) => id).sort();
  });
}
