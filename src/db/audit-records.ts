import type { AuditAction, AuditRecord } from '../contracts/audit.ts';
import { idFloor, newId } from '../domain/ids.ts';
import { collect } from './delivery-filters.ts';
import type { Queryable } from './pool.ts';

type NewRecord = {
  accountId: string | null;
  actor: string;
  action: AuditAction;
  target: string;
  fields?: readonly string[];
};

/** `actor` is the id of a key or a portal link, `command line`, or a part of the service. Never holds a secret. */
export async function insertAuditRecord(db: Queryable, record: NewRecord): Promise<void> {
  await db.query(
    `insert into audit_records (id, account_id, actor, action, target, fields) values ($1, $2, $3, $4, $5, $6)`,
    [newId('aud'), record.accountId, record.actor, record.action, record.target, record.fields ?? []],
  );
}

export type AuditFilter = {
  /** An action, or a family: `webhook.*`. */
  action?: string | undefined;
  actor?: string | undefined;
  target?: string | undefined;
  since?: Date | undefined;
  until?: Date | undefined;
  /** The last id of the previous page. */
  before: string | null;
  limit: number;
};

type Row = Pick<AuditRecord, 'id' | 'action' | 'fields'> & {
  actor: string;
  target: string;
  createdAt: Date;
  actorName: string | null;
  isServiceKey: boolean;
  targetName: string | null;
};

/**
 * Newest first. Ids sort by time, so a time range is a range of ids. The range is one of pairs, in the order of an index, so that
 * PostgreSQL uses no index of ids alone, where it would read the records of all other accounts.
 *
 * @param accountId null: the records of no account, such as those of service keys
 * @param seesServiceKeys whether the names of service keys are shown
 */
export async function listAuditRecords(
  db: Queryable,
  accountId: string | null,
  { action, actor, target, since, until, before, limit }: AuditFilter,
  seesServiceKeys: boolean,
): Promise<AuditRecord[]> {
  const { values, add } = collect();
  const scope = add(accountId ?? '');
  const from = since === undefined ? 'aud_' : idFloor('aud', since);
  const to = [before ?? 'aud_z', until === undefined ? 'aud_z' : idFloor('aud', until)].toSorted()[0];
  // The empty text means no account.
  const columns =
    target === undefined ? [`coalesce(account_id, '')`] : [`coalesce(account_id, '')`, 'target'];
  const range = target === undefined ? [scope] : [scope, add(target)];
  const rowOf = (parts: readonly string[]) => `(${parts.join(', ')})`;
  const wanted = [
    `${rowOf([...columns, 'id'])} >= ${rowOf([...range, add(from)])}`,
    `${rowOf([...columns, 'id'])} < ${rowOf([...range, add(to)])}`,
    ...(action === undefined
      ? []
      : action.endsWith('.*')
        ? [`starts_with(action, ${add(action.slice(0, -1))})`]
        : [`action = ${add(action)}`]),
    ...(actor === undefined ? [] : [`actor = ${add(actor)}`]),
  ];
  const order = [...columns, 'id'].map((column) => `${column} desc`).join(', ');
  const { rows } = await db.query<Row>(
    `select r.id, r.action, r.actor, r.target, r.fields, r.created_at as "createdAt",
       k.id is not null and k.account_id is null as "isServiceKey",
       case when k.account_id is not null or ${add(seesServiceKeys)}::boolean then k.name end as "actorName",
       coalesce(w.url, t.name) as "targetName"
     from (select * from audit_records where ${wanted.join(' and ')} order by ${order} limit ${add(limit)}) as r
     left join api_keys k on k.id = r.actor
     left join api_keys t on t.id = r.target and t.account_id is not distinct from r.account_id
     left join webhooks w on w.id = r.target and w.account_id = r.account_id
     order by r.id desc`,
    values,
  );
  return rows.map(toRecord);
}

const toRecord = (row: Row): AuditRecord => ({
  id: row.id,
  action: row.action,
  actor: { type: actorType(row), id: row.actor, name: row.actorName },
  target: { id: row.target, name: row.targetName },
  fields: row.fields,
  created_at: row.createdAt.toISOString(),
});

function actorType({ actor, isServiceKey }: Row): AuditRecord['actor']['type'] {
  if (actor.startsWith('key_')) return isServiceKey ? 'service_key' : 'key';
  if (actor.startsWith('pl_')) return 'portal_link';
  return actor === 'command line' ? 'command_line' : 'service';
}
