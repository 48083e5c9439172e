import { accountColumns, findAccount, type AccountRow } from './accounts.ts';
import type { Client, Queryable } from './pool.ts';

/**
 * Begins the deletion of an account: from the commit on it takes no event, webhook or key, and its keys are revoked. Its row is
 * locked, as by every transaction that gives it a webhook or a key.
 *
 * @returns the account, and whether its deletion began before; null: there is none
 */
export async function beginDeletion(
  client: Client,
  id: string,
): Promise<{ account: AccountRow; isRepeated: boolean } | null> {
  const { rows } = await client.query<AccountRow>(
    `update accounts set deletion_requested_at = date_trunc('milliseconds', now()), check_at = now() + interval '10 seconds',
       webhooks_version = nextval('webhooks_versions')
     where id = $1 and deletion_requested_at is null returning ${accountColumns}`,
    [id],
  );
  const [begun] = rows;
  if (begun) {
    await client.query(
      `update api_keys set revoked_at = now() where account_id = $1 and revoked_at is null`,
      [id],
    );
    return { account: begun, isRepeated: false };
  }
  const account = await findAccount(client, id);
  return account && { account, isRepeated: true };
}

/** Claims accounts whose deletion may have no workflow, for 30 seconds, so that several processes share the work. */
export async function claimDeletions(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `update accounts a set check_at = now() + interval '30 seconds'
     from (select id from accounts where check_at <= now() order by check_at limit $1 for update skip locked) as due
     where a.id = due.id returning a.id`,
    [limit],
  );
  return rows.map(({ id }) => id);
}

export async function setDeletionCheck(db: Queryable, id: string, seconds: number): Promise<void> {
  await db.query(
    `update accounts set check_at = now() + make_interval(secs => $2)
     where id = $1 and deletion_requested_at is not null`,
    [id, seconds],
  );
}
