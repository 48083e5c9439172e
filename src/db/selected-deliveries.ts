import { errorsWithoutResponse } from '../contracts/attempt-schema.ts';
import { statusesOf, type DeliveryAction, type DeliverySelection } from '../contracts/operation.ts';
import type { ActionFacts } from '../domain/delivery-action.ts';
import { idFloor } from '../domain/ids.ts';
import { summaryColumns, type DeliveryRow } from './deliveries-table.ts';
import type { OperationToRun } from './operations-table.ts';
import type { Queryable } from './pool.ts';

/** The deliveries that an operation acts on. */
type Selected = {
  accountId: string;
  action: DeliveryAction;
  since: Date | null;
  until: Date | null;
  selection: DeliverySelection;
};

/** One delivery to be acted on, and how many attempts it had then. Ids only, because it is stored. */
export type SelectedItem = { id: string; attempts: number };

/** Deliveries read in one statement: a selection that matches rarely is read in short steps. */
const scanSize = 2000;

/** From the index of a webhook's deliveries, or of the account's. `after`: the last one that was read. */
function rangeOf(selected: Selected, add: (value: unknown) => string, after: string | null): string[] {
  const { accountId, since, until, selection } = selected;
  const from = since === null ? 'dlv_' : idFloor('dlv', since);
  const [column, scope] =
    selection.webhook_id === undefined
      ? ['account_id', add(accountId)]
      : ['webhook_id', add(selection.webhook_id)];
  return [
    `(d.${column}, d.id) >= (${scope}, ${add(from)})`,
    `(d.${column}, d.id) < (${scope}, ${add(until === null ? 'dlv_z' : idFloor('dlv', until))})`,
    ...(after === null ? [] : [`(d.${column}, d.id) > (${scope}, ${add(after)})`]),
    ...(selection.ids === undefined ? [] : [`d.id = any(${add(selection.ids)})`]),
  ];
}

function conditionsOf({ accountId, action, selection }: Selected, add: (value: unknown) => string): string[] {
  const { event, status, code, error, ids } = selection;
  const low = code === undefined ? 0 : Number(code.replace('xx', '00'));
  const high = code?.endsWith('xx') ? low + 99 : low;
  const statuses = status === undefined ? statusesOf[action] : [status];
  return [
    `d.account_id = ${add(accountId)}`,
    // Named one by one, each counts: what cannot be done is said.
    ...(status === undefined && ids !== undefined ? [] : [`d.status = any(${add(statuses)})`]),
    ...(event === undefined ? [] : [`d.event_type = ${add(event)}`]),
    ...(code === undefined ? [] : [`d.last_status_code between ${add(low)} and ${add(high)}`]),
    ...(error === undefined
      ? []
      : [`d.last_error_code = any(${add(error === 'no_response' ? errorsWithoutResponse : [error])})`]),
  ];
}

function collect(): { values: unknown[]; add: (value: unknown) => string } {
  const values: unknown[] = [];
  return { values, add: (value) => `$${values.push(value)}` };
}

/** How many deliveries match now. */
export async function countSelected(db: Queryable, selected: Selected): Promise<number> {
  const { values, add } = collect();
  const where = [...rangeOf(selected, add, null), ...conditionsOf(selected, add)];
  const { rows } = await db.query<{ count: number }>(
    `select count(*)::int as count from deliveries d where ${where.join(' and ')}`,
    values,
  );
  return rows[0]?.count ?? 0;
}

/**
 * Reads on, oldest first, and makes what matches the operation's page: at most `size`, or none where what was read has none.
 * Where another process was faster, nothing changes.
 */
export async function claimSelected(
  db: Queryable,
  operation: Selected & Pick<OperationToRun, 'id' | 'cursorId' | 'pageNumber'>,
  size: number,
): Promise<{ isEnd: boolean }> {
  const { values, add } = collect();
  const range = rangeOf(operation, add, operation.cursorId);
  const { rows } = await db.query<{ items: SelectedItem[]; last: string | null }>(
    `with scanned as materialized (
       select d.id, d.account_id, d.status, d.event_type, d.last_status_code, d.last_error_code, d.attempt_count
       from deliveries d where ${range.join(' and ')}
       order by d.${operation.selection.webhook_id === undefined ? 'account_id' : 'webhook_id'}, d.id limit ${add(scanSize)}),
     found as (
       select id, attempt_count as attempts from scanned d where ${conditionsOf(operation, add).join(' and ')}
       order by id limit ${add(size)})
     select (select coalesce(jsonb_agg(found order by id), '[]') from found) as items,
       case when (select count(*) from found) = ${add(size)} then (select max(id) from found) else (select max(id) from scanned) end
         as last`,
    values,
  );
  const { items = [], last = null } = rows[0] ?? {};
  if (last === null) return { isEnd: true };
  await db.query(
    `update operations set cursor_id = $3, page = $4::jsonb,
       page_number = page_number + case when $4::jsonb is null then 0 else 1 end
     where id = $1 and page_number = $2 and cursor_id is not distinct from $5 and page is null
       and status in ('running', 'paused')`,
    [
      operation.id,
      operation.pageNumber,
      last,
      items.length === 0 ? null : JSON.stringify(items),
      operation.cursorId,
    ],
  );
  return { isEnd: false };
}

export type DeliveryToAct = DeliveryRow &
  Omit<ActionFacts, 'status' | 'isMarked'> & { operationId: string | null };

/** A delivery, and what an action on it depends on. */
export async function findToAct(db: Queryable, accountId: string, id: string): Promise<DeliveryToAct | null> {
  const { rows } = await db.query<DeliveryToAct>(
    `select ${summaryColumns}, timeline, operation_id as "operationId",
       coalesce((select case when w.deleted_at is not null then 'deleted' when w.active then 'active' else 'not_active' end
         from webhooks w where w.id = d.webhook_id), 'deleted') as webhook,
       exists (select 1 from events e where e.account_id = d.account_id and e.id = d.event_id and e.body is not null) as "hasBody"
     from deliveries d where id = $1 and account_id = $2`,
    [id, accountId],
  );
  return rows[0] ?? null;
}

/** That an operation acts on a delivery: its outcome counts it, and a page that runs again finds it. */
export async function markForOperation(db: Queryable, id: string, deliveryId: string): Promise<void> {
  await db.query(
    `update deliveries set operation_id = $1 where id = $2 and operation_id is distinct from $1`,
    [id, deliveryId],
  );
}
