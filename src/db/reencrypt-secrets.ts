import { StartError } from '../errors.ts';
import { insertAuditRecord } from './audit-records.ts';
import type { Box } from './encryption-keys.ts';
import { responseContext } from './idempotency-keys.ts';
import { withTransaction, type Pool } from './pool.ts';

type Reencrypted = { secrets: number; previousSecrets: number; responses: number; removedKeys: string[] };

const batchSize = 200;
/** A process that still encrypts with another key adds values in each round. */
const maxRounds = 5;

/**
 * Encrypts again, with the current key, everything that another key encrypted, and removes the other keys. Each value is
 * replaced only if it is still the one that was read, so the service may keep running, and the next run continues an
 * interrupted one.
 *
 * @throws StartError when a value cannot be opened, or another process still encrypts with another key
 */
export async function reencrypt(pool: Pool, box: Box, actor: string): Promise<Reencrypted> {
  const counts = { secrets: 0, previousSecrets: 0, responses: 0 };
  // A secret that no longer signs needs no new key.
  await pool.query(
    `update webhooks set previous_sealed_secret = null, previous_secret_until = null
     where previous_secret_until <= now()`,
  );
  for (let round = 1; round <= maxRounds; round += 1) {
    const secrets = await reencryptSecrets(pool, box, 'sealed_secret');
    const previousSecrets = await reencryptSecrets(pool, box, 'previous_sealed_secret');
    const responses = await reencryptResponses(pool, box);
    counts.secrets += secrets.replaced;
    counts.previousSecrets += previousSecrets.replaced;
    counts.responses += responses.replaced;
    if (secrets.found + previousSecrets.found + responses.found === 0) {
      return { ...counts, removedKeys: await removeOtherKeys(pool, box, actor) };
    }
  }
  throw new StartError(
    `A process of the service still encrypts with another key than "${box.currentKeyId}". Restart every process with this key first in FLTR_ENCRYPTION_KEYS, then run this again.`,
  );
}

type Round = { found: number; replaced: number };

async function reencryptSecrets(
  pool: Pool,
  box: Box,
  column: 'sealed_secret' | 'previous_sealed_secret',
): Promise<Round> {
  return inBatches(async (after: string) => {
    const { rows } = await pool.query<{ id: string; sealed: string }>(
      `select id, ${column} as sealed from webhooks
       where ${column} is not null and split_part(${column}, '.', 1) <> $1 and id > $2 order by id limit $3`,
      [box.currentKeyId, after, batchSize],
    );
    const updated = await pool.query(
      `update webhooks set ${column} = renewed.sealed
       from unnest($1::text[], $2::text[], $3::text[]) as renewed(id, was, sealed)
       where webhooks.id = renewed.id and ${column} = renewed.was`,
      [
        rows.map(({ id }) => id),
        rows.map(({ sealed }) => sealed),
        rows.map(({ id, sealed }) => renew(box, sealed, id, `The secret of ${id}`)),
      ],
    );
    return { found: rows.length, replaced: updated.rowCount ?? 0, next: rows.at(-1)?.id };
  }, '');
}

type StoredResponse = { apiKeyId: string; route: string; key: string; sealed: string };

async function reencryptResponses(pool: Pool, box: Box): Promise<Round> {
  return inBatches(
    async (after: Omit<StoredResponse, 'sealed'>) => {
      const { rows } = await pool.query<StoredResponse>(
        `select api_key_id as "apiKeyId", route, key, sealed_response as sealed from idempotency_keys
         where split_part(sealed_response, '.', 1) <> $1 and (api_key_id, route, key) > ($2, $3, $4)
         order by api_key_id, route, key limit $5`,
        [box.currentKeyId, after.apiKeyId, after.route, after.key, batchSize],
      );
      const updated = await pool.query(
        `update idempotency_keys as stored set sealed_response = renewed.sealed
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
           as renewed(api_key_id, route, key, was, sealed)
         where stored.api_key_id = renewed.api_key_id and stored.route = renewed.route and stored.key = renewed.key
           and stored.sealed_response = renewed.was`,
        [
          rows.map(({ apiKeyId }) => apiKeyId),
          rows.map(({ route }) => route),
          rows.map(({ key }) => key),
          rows.map(({ sealed }) => sealed),
          rows.map(({ apiKeyId, route, key, sealed }) =>
            renew(
              box,
              sealed,
              responseContext(apiKeyId, route, key),
              `The response stored for an Idempotency-Key of ${apiKeyId}`,
            ),
          ),
        ],
      );
      return { found: rows.length, replaced: updated.rowCount ?? 0, next: rows.at(-1) };
    },
    { apiKeyId: '', route: '', key: '' },
  );
}

/** Runs batch after batch; each begins where the one before ended. */
async function inBatches<Position>(
  run: (after: Position) => Promise<Round & { next: Position | undefined }>,
  start: Position,
): Promise<Round> {
  const all = { found: 0, replaced: 0 };
  for (let after: Position | undefined = start; after !== undefined;) {
    const batch: Round & { next: Position | undefined } = await run(after);
    all.found += batch.found;
    all.replaced += batch.replaced;
    after = batch.next;
  }
  return all;
}

function renew(box: Box, sealed: string, context: string, what: string): string {
  try {
    return box.seal(box.open(sealed, context), context);
  } catch {
    throw new StartError(
      `${what} cannot be decrypted: it was changed in the database. Restore it from a backup or delete it, then run this again.`,
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
