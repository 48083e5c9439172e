import { onlyRow, type Queryable } from './pool.ts';

/** Of a key: making another one removes those that end first. */
const mostLinks = 20;

/** Inserts a link that signs in with a key, once. Null: there is no such key, or it was revoked. */
export async function insertSignInLink(
  db: Queryable,
  link: { keyDigest: Buffer; tokenDigest: Buffer; seconds: number },
): Promise<Date | null> {
  const { rows } = await db.query<{ endsAt: Date }>(
    `with signing as (select id, account_id from api_keys where digest = $1 and revoked_at is null),
       removed as (
         delete from sign_in_links where token_digest in (
           select token_digest from sign_in_links where key_id = (select id from signing)
           order by ends_at desc offset ${mostLinks - 1}))
     insert into sign_in_links (token_digest, key_id, account_id, ends_at)
     select $2, id, account_id, now() + make_interval(secs => $3) from signing
     returning ends_at as "endsAt"`,
    [link.keyDigest, link.tokenDigest, link.seconds],
  );
  return rows.length === 0 ? null : onlyRow(rows, 'insert').endsAt;
}

/** The id of the key that a link signs in with; null for one that is unknown, used or expired. It can be opened once. */
export async function redeemSignInLink(db: Queryable, tokenDigest: Buffer): Promise<string | null> {
  const { rows } = await db.query<{ keyId: string }>(
    `delete from sign_in_links where token_digest = $1 and ends_at > now() returning key_id as "keyId"`,
    [tokenDigest],
  );
  return rows[0]?.keyId ?? null;
}
