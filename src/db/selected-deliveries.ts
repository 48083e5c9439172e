import { errorsWithoutResponse } from '../contracts/attempt-schema.ts';
import { statusesOf, type DeliveryAction, type DeliverySelection } from '../contracts/operation.ts';
import type { ActionFacts } from '../domain/delivery-action.ts';
import { idFloor } from '../domain/ids.ts';
import { summaryColumns, type DeliveryRow } from './deliveries-table.ts';
import { collect, waitingConditions, type Add } from './delivery-filters.ts';
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

type Range = { from: string; where: string[]; orderBy: string };

/**
 * The rows to read, in the order of their ids: all of an event, or from the index of an operation, a webhook or the account.
 *
 * @param after the last id that was read
 */
function rangeOf(selected: Selected, add: Add, after: string | null): Range {
  const { accountId, since, until, selection } = selected;
  const { ids, event_id: eventId, operation_id: operationId, webhook_id: webhookId } = selection;
  const from = add(since === null ? 'dlv_' : idFloor('dlv', since));
  const to = add(until === null ? 'dlv_z' : idFloor('dlv', until));
  const named = ids === undefined ? [] : [`d.id = any(${add(ids)})`];
  if (eventId !== undefined)
    return {
      from: `(select * from deliveries d where d.account_id = ${add(accountId)} and d.event_id = ${add(eventId)} offset 0) as d`,
      where: [
        `d.id >= ${from}`,
        `d.id < ${to}`,
        ...(after === null ? [] : [`d.id > ${add(after)}`]),
        ...named,
      ],
      orderBy: 'd.id',
    };
  const [column, scope] =
    operationId !== undefined
      ? ['operation_id', add(operationId)]
      : webhookId !== undefined
        ? ['webhook_id', add(webhookId)]
        : ['account_id', add(accountId)];
  return {
    from: 'deliveries d',
    where: [
      ...(operationId === undefined ? [] : ['d.operation_id is not null']),
      `(d.${column}, d.id) >= (${scope}, ${from})`,
      `(d.${column}, d.id) < (${scope}, ${to})`,
      ...(after === null ? [] : [`(d.${column}, d.id) > (${scope}, ${add(after)})`]),
      ...named,
    ],
    orderBy: `d.${column}, d.id`,
  };
}

function conditionsOf({ accountId, action, selection }: Selected, add: Add): string[] {
  const { event, status, code, error, ids, deferred = false } = selection;
  const { waits_for: waitsFor, blocks_line: blocksLine = false, order_key: orderKey } = selection;
  const { event_id: eventId, operation_id: operationId, webhook_id: webhookId } = selection;
  const isRangeOfWebhook = eventId === undefined && operationId === undefined;
  const low = code === undefined ? 0 : Number(code.replace('xx', '00'));
  const high = code?.endsWith('xx') ? low + 99 : low;
  const statuses = status === undefined ? statusesOf[action] : [status];
  return [
    `d.account_id = ${add(accountId)}`,
    // Deliveries that are named one by one all count, also those that the action cannot change.
    // One that blocks its line can be canceled, though it has failed.
    ...(status === undefined && (ids !== undefined || blocksLine)
      ? []
      : [`d.status = any(${add(statuses)})`]),
    ...(webhookId === undefined || isRangeOfWebhook ? [] : [`d.webhook_id = ${add(webhookId)}`]),
    ...(operationId === undefined ? [] : [`d.operation_id = ${add(operationId)}`]),
    ...waitingConditions({ isDeferred: deferred, waitsFor, blocksLine, orderKey }, add),
    ...(event === undefined ? [] : [`d.event_type = ${add(event)}`]),
    ...(code === undefined ? [] : [`d.last_status_code between ${add(low)} and ${add(high)}`]),
    ...(error === undefined
      ? []
      : [`d.last_error_code = any(${add(error === 'no_response' ? errorsWithoutResponse : [error])})`]),
  ];
}

/** How many deliveries match now. */
export async function countSelected(db: Queryable, selected: Selected): Promise<number> {
  const { values, add } = collect();
  const range = rangeOf(selected, add, null);
  const where = [...range.where, ...conditionsOf(selected, add)];
  const { rows } = await db.query<{ count: number }>(
    `select count(*)::int as count from ${range.from} where ${where.join(' and ')}`,
    values,
  );
  return rows[0]?.count ?? 0;
}

/**
 * Reads on, oldest first, and writes the matching deliveries as the operation's page: at most `size`, or none if none match.
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
       select d.id, d.account_id, d.webhook_id, d.operation_id, d.status, d.wait_reason, d.event_type, d.last_status_code,
         d.last_error_code, d.attempt_count, d.start_after, d.order_key, d.line_position
       from ${range.from} where ${range.where.join(' and ')} order by ${range.orderBy} limit ${add(scanSize)}),
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
  Omit<ActionFacts, 'status' | 'blocksLine' | 'isMarked' | 'isExpired'> & { operationId: string | null };

/** A delivery, with the facts that an action on it depends on. */
export async function findToAct(db: Queryable, accountId: string, id: string): Promise<DeliveryToAct | null> {
  const { rows } = await db.query<DeliveryToAct>(
    `select ${summaryColumns}, timeline, operation_id as "operationId", coalesce(start_after = 'line', false) and ended_at is null as "isBehindOther",
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
