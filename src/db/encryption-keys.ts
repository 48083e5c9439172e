import { StartError } from '../errors.ts';
import type { Queryable } from './pool.ts';

export type Box = {
  currentKeyId: string;
  hasKey(id: string): boolean;
  seal(plain: string, context: string): string;
  open(sealed: string, context: string): string;
};

const context = (id: string) => `encryption-key:${id}`;

/**
 * Fails the start where a key that encrypted something is missing, or has another value under the same id.
 *
 * @throws StartError with the remedy
 */
export async function checkEncryptionKeys(db: Queryable, box: Box): Promise<void> {
  const { rows } = await db.query<{ id: string; sealed: string }>(
    `select id, sealed from encryption_keys order by created_at`,
  );
  for (const { id, sealed } of rows) {
    if (!box.hasKey(id)) throw missingKey(id);
    try {
      box.open(sealed, context(id));
    } catch {
      throw new StartError(
        `FLTR_ENCRYPTION_KEYS: the key "${id}" is not the one that secrets in this database were encrypted with. Restore the former key under this id, and give the new one another id.`,
      );
    }
  }
  // A process without the new key may have encrypted with the old one after `reencrypt` removed that from the table.
  const used = await db.query<{ id: string }>(
    `select split_part(sealed_secret, '.', 1) as id from webhooks where sealed_secret is not null
     union
     select split_part(sealed, '.', 1)
     from webhooks, unnest(array[sealed_signing_key, sealed_headers, sealed_auth]) as sealed
     where sealed is not null
     union
     select split_part(sealed, '.', 1)
     from webhooks, unnest(array[previous_sealed_secret, previous_sealed_signing_key]) as sealed
     where previous_secret_until > now() and sealed is not null`,
  );
  const payloads = await db.query<{ id: string }>(newestPayloadKeys);
  const missing = [...used.rows, ...payloads.rows].find(({ id }) => !box.hasKey(id));
  if (missing) throw missingKey(missing.id);
  const id = box.currentKeyId;
  await db.query(`insert into encryption_keys (id, sealed) values ($1, $2) on conflict (id) do nothing`, [
    id,
    box.seal('fltr-webhooks', context(id)),
  ]);
}

/** The keys of the newest payloads, for the same case: all of them would be too many. */
const newestPayloadKeys = `
  select distinct convert_from(substring(sealed from 3 for get_byte(substring(sealed from 2 for 1), 0)), 'utf8') as id from (
    (select substring(body from 1 for 300) as sealed from events where body is not null order by created_at desc limit 1000)
    union all
    (select case when jsonb_typeof(response_headers) = 'string' then decode(response_headers #>> '{}', 'base64') end
     from attempts where response_headers is not null order by started_at desc limit 1000)) as newest
  where substring(sealed from 1 for 1) = '\\x01'`;

function missingKey(id: string): StartError {
  return new StartError(
    `FLTR_ENCRYPTION_KEYS lacks the key "${id}", which secrets in this database are encrypted with. Add it to the list (the first one encrypts).`,
  );
}
