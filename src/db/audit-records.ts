import { newId } from '../domain/ids.ts';
import type { Queryable } from './pool.ts';

type AuditRecord = { accountId: string | null; actor: string; action: string; target: string };

/** `actor` is a key's id, or `command line`. Never holds a secret. */
export async function insertAuditRecord(db: Queryable, record: AuditRecord): Promise<void> {
  await db.query(
    `insert into audit_records (id, account_id, actor, action, target) values ($1, $2, $3, $4, $5)`,
    [newId('aud'), record.accountId, record.actor, record.action, record.target],
  );
}
