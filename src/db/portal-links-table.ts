import type { PortalView } from '../contracts/portal-link.ts';
import { newId } from '../domain/ids.ts';
import type { Environment, NamedKey } from './api-keys-table.ts';
import { onlyRow, type Client, type Queryable } from './pool.ts';

export type NewPortalLink = {
  accountId: string;
  createdBy: string;
  tokenDigest: Buffer;
  scopes: readonly string[];
  accent: string | null;
  mode: PortalView['mode'];
  returnUrl: string | null;
  expiresSeconds: number;
};

/** Of an account, links that can still be opened. */
export const maxOpenLinks = 100;
const sessionHours = 12;

/**
 * Inserts a link. The account's row is locked, so that concurrent calls are counted one after the other.
 *
 * @returns `no_account`, or `too_many` where the account has as many open links as it may
 */
export async function insertPortalLink(
  client: Client,
  link: NewPortalLink,
): Promise<{ id: string; expiresAt: Date } | 'no_account' | 'too_many'> {
  const account = await client.query(
    `select 1 from accounts where id = $1 and deletion_requested_at is null for no key update`,
    [link.accountId],
  );
  if (account.rowCount === 0) return 'no_account';
  const open = await client.query<{ count: number }>(
    `select count(*)::int as count from portal_links
     where account_id = $1 and redeemed_at is null and ends_at > now()`,
    [link.accountId],
  );
  if (onlyRow(open.rows, 'count').count >= maxOpenLinks) return 'too_many';
  const { rows } = await client.query<{ id: string; expiresAt: Date }>(
    `insert into portal_links (id, account_id, created_by, token_digest, scopes, accent, mode, return_url, ends_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))
     returning id, ends_at as "expiresAt"`,
    [
      newId('pl'),
      link.accountId,
      link.createdBy,
      link.tokenDigest,
      link.scopes,
      link.accent,
      link.mode,
      link.returnUrl,
      link.expiresSeconds,
    ],
  );
  return onlyRow(rows, 'insert');
}

/** The link and its session end with the key that made it, and with its account. `environment`: its parameter. */
const isValid = (environment: string) =>
  `exists (select 1 from api_keys k where k.id = l.created_by and k.revoked_at is null
     and (${environment} = 'development' or not k.is_development))
   and exists (select 1 from accounts a where a.id = l.account_id and a.deletion_requested_at is null)`;

/**
 * Opens the session of a link, once: of two concurrent calls, one finds it used.
 *
 * @returns the link; or why there is no session
 */
export async function redeemPortalLink(
  client: Client,
  { tokenDigest, sessionDigest }: { tokenDigest: Buffer; sessionDigest: Buffer },
  environment: Environment,
): Promise<{ id: string; accountId: string } | 'used' | 'ended' | 'unknown'> {
  const { rows } = await client.query<{ id: string; accountId: string }>(
    `update portal_links l set redeemed_at = now(), session_digest = $2,
       ends_at = now() + make_interval(hours => ${sessionHours})
     where token_digest = $1 and redeemed_at is null and ends_at > now() and ${isValid('$3')}
     returning id, account_id as "accountId"`,
    [tokenDigest, sessionDigest, environment],
  );
  if (rows[0]) return rows[0];
  const found = await client.query<{ isUsed: boolean }>(
    `select redeemed_at is not null as "isUsed" from portal_links where token_digest = $1`,
    [tokenDigest],
  );
  return found.rows[0] ? (found.rows[0].isUsed ? 'used' : 'ended') : 'unknown';
}

export type PortalSession = {
  /** Its id is the link's. */
  key: NamedKey;
  endsAt: Date;
  accent: string | null;
  mode: PortalView['mode'];
  returnUrl: string | null;
};

/** The session of a token, read at every call. It ends at its time, or with its link, the key that made that, or its account. */
export async function findPortalSession(
  db: Queryable,
  sessionDigest: Buffer,
  environment: Environment,
): Promise<PortalSession | null> {
  const { rows } = await db.query<
    Omit<PortalSession, 'key'> &
      Pick<NamedKey, 'id' | 'accountId' | 'accountName' | 'scopes'> & { by: string }
  >({
    name: 'find-portal-session',
    text: `select l.id, l.account_id as "accountId", a.name as "accountName", l.scopes, l.created_by as by,
        l.ends_at as "endsAt", l.accent, l.mode, l.return_url as "returnUrl"
      from portal_links l join accounts a on a.id = l.account_id
      where l.session_digest = $1 and l.ends_at > now() and ${isValid('$2')}`,
    values: [sessionDigest, environment],
  });
  const [row] = rows;
  if (!row) return null;
  const { id, accountId, accountName, scopes, by, ...rest } = row;
  return { key: { id, accountId, accountName, scopes, name: '', portal: { createdBy: by } }, ...rest };
}

/**
 * Ends a link and its session; one that has ended stays as it is.
 *
 * @param by the account, or for a service key the key that made the link
 * @returns its account; null: there is no such link
 */
export async function endPortalLink(
  db: Queryable,
  id: string,
  by: { accountId: string } | { createdBy: string },
): Promise<string | null> {
  const [column, value] = 'accountId' in by ? ['account_id', by.accountId] : ['created_by', by.createdBy];
  const { rows } = await db.query<{ accountId: string }>(
    `update portal_links set ends_at = least(ends_at, now()) where id = $1 and ${column} = $2
     returning account_id as "accountId"`,
    [id, value],
  );
  return rows[0]?.accountId ?? null;
}
