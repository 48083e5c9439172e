import type { DeliveryStatus } from '../contracts/delivery.ts';
import { summaryColumns, toSummary, type DeliveryRow } from './deliveries-table.ts';
import {
  collect,
  idRange,
  kindConditions,
  mayBeUnattempted,
  rowConditions,
  scopeOf,
  type Add,
  type DeliveryConditions,
  type DeliveryFilter,
} from './delivery-filters.ts';
import type { Queryable } from './pool.ts';
import { rareOf } from './rare-deliveries.ts';

/** Rows that are scanned in order before a filter is treated as one that matches rarely. */
const scanSize = 500;
/**
 * As the indexes by kind have them. The result of the last attempt: `200`, `404client_error`, or `timeout_connect`, where there
 * was no response.
 */
const result = `(coalesce(d.last_status_code::text, '') || coalesce(d.last_error_code, '')) collate "C"`;
const hasKind = `(d.status <> 'pending' or d.attempt_count > 0)`;

/**
 * The delivery log, newest first. Ids sort by time, so a time range is a range of ids. However large the log, and however
 * rarely a filter matches, only the newest rows and a page of each existing kind are read.
 */
export async function listDeliveries(db: Queryable, accountId: string, filter: DeliveryFilter) {
  const { eventId, operationId, eventType, status, code, errors, limit } = filter;
  const only =
    operationId !== undefined
      ? listOperation(accountId, filter, operationId)
      : eventId !== undefined
        ? ofEvent(accountId, filter, eventId)
        : listRare(accountId, filter);
  if (only) return (await db.query<LogRow>(only)).rows.map(toSummary);
  const isFiltered = [eventType, status, code, errors].some((value) => value !== undefined);
  const newest = scanNewest(accountId, filter, isFiltered ? scanSize : limit);
  let { rows } = await db.query<LogRow>(newest);
  if (isFiltered && rows.length < limit) ({ rows } = await db.query<LogRow>(mergeKinds(accountId, filter)));
  return rows.map(toSummary);
}

type LogRow = Omit<DeliveryRow, 'timeline'>;
type Statement = { text: string; values: unknown[] };

/** An event has at most one delivery for each webhook, so all of them are read. */
function ofEvent(accountId: string, filter: DeliveryFilter, eventId: string): Statement {
  const { values, add } = collect();
  const range = idRange(filter);
  const { webhookId } = filter;
  const wanted = [
    ...(webhookId === undefined ? [] : [`d.webhook_id = ${add(webhookId)}`]),
    ...rowConditions(filter, add),
  ];
  const text = `select ${summaryColumns} from (
      select * from deliveries d where d.account_id = ${add(accountId)} and d.event_id = ${add(eventId)} offset 0) as d
    where ${[`d.id >= ${add(range.from)}`, `d.id < ${add(range.to)}`, ...wanted].join(' and ')}
    order by d.id desc limit ${add(filter.limit)}`;
  return { text, values };
}

/** The conditions of an operation's deliveries. Their index has their states, too: a state that is rare is found in it. */
export function ofOperation(
  accountId: string,
  filter: DeliveryConditions,
  operationId: string,
  add: Add,
): string[] {
  const range = idRange(filter);
  const scope = add(operationId);
  const { webhookId, eventId } = filter;
  return [
    'd.operation_id is not null',
    `(d.operation_id, d.id) >= (${scope}, ${add(range.from)})`,
    `(d.operation_id, d.id) < (${scope}, ${add(range.to)})`,
    `d.account_id = ${add(accountId)}`,
    ...(webhookId === undefined ? [] : [`d.webhook_id = ${add(webhookId)}`]),
    ...(eventId === undefined ? [] : [`d.event_id = ${add(eventId)}`]),
    ...rowConditions(filter, add),
  ];
}

function listOperation(accountId: string, filter: DeliveryFilter, operationId: string): Statement {
  const { values, add } = collect();
  const text = `select ${summaryColumns} from deliveries d
    where ${ofOperation(accountId, filter, operationId, add).join(' and ')}
    order by d.operation_id desc, d.id desc limit ${add(filter.limit)}`;
  return { text, values };
}

/** Null: its filter is none of those that few deliveries match. */
function listRare(accountId: string, filter: DeliveryFilter): Statement | null {
  const rare = rareOf(filter);
  if (!rare) return null;
  const { values, add } = collect();
  const isPossible = filter.status === undefined || rare.statuses.includes(filter.status);
  const found = isPossible ? rare.findIds(accountId, filter, add, []) : 'select null::text where false';
  const text = `select ${summaryColumns} from deliveries d
    where d.account_id = ${add(accountId)} and d.id = any(array(
      select found.id from (${found}) as found(id) order by id desc limit ${add(filter.limit)}))
    order by d.id desc`;
  return { text, values };
}

/**
 * In the order of an index, until the page is full or `size` rows were scanned. The range is one of pairs, so that PostgreSQL
 * uses no index of ids alone, where it would read the rows of all other accounts.
 */
function scanNewest(accountId: string, filter: DeliveryFilter, size: number): Statement {
  const { values, add } = collect();
  const account = add(accountId);
  const range = idRange(filter);
  const [column, scope] = scopeOf(filter, account, add);
  const wanted = rowConditions(filter, add);
  const text = `select ${summaryColumns} from (
      select * from deliveries d
      where (d.${column}, d.id) >= (${scope}, ${add(range.from)}) and (d.${column}, d.id) < (${scope}, ${add(range.to)})
      order by d.${column} desc, d.id desc limit ${add(size)}) as d
    where ${[`d.account_id = ${account}`, ...wanted].join(' and ')}
    order by d.${column} desc, d.id desc limit ${add(filter.limit)}`;
  return { text, values };
}

/**
 * The table `kinds`, for `with recursive`. A kind is all rows of one state, event type and result of the last attempt. The kinds
 * are found one after the other, each by one index lookup. A delivery that waits for its first attempt is of no kind.
 *
 * @param ofScope the column and its value, from `scopeOf`
 */
export function kindsOf(status: DeliveryStatus | undefined, ofScope: string, add: Add): string {
  const rows = `from deliveries d where ${ofScope} and ${hasKind}
    ${status === undefined ? '' : `and d.status = ${add(status)}`}`;
  const kind = `d.status, d.event_type, ${result}`;
  // A given state is compared alone: a comparison of all three would not use the index then.
  const isNext =
    status === undefined
      ? `(${kind}) > (k.status, k.event_type, k.result)`
      : `(d.event_type, ${result}) > (k.event_type, k.result)`;
  return `kinds(status, event_type, result) as (
      (select ${kind} ${rows} order by ${kind} limit 1)
      union all
      select next.* from kinds k cross join lateral (
        select ${kind} ${rows} and ${isNext} order by ${kind} limit 1) as next
    )`;
}

/** The newest rows of the kind `k`; parameters: the range of ids and the limit. */
export const rowsOfKind = (ofScope: string, from: string, to: string, limit: string): string =>
  `select d.id from deliveries d
       where ${ofScope} and ${hasKind} and d.status = k.status and d.event_type = k.event_type
         and (${result}, d.id) >= (k.result, ${from}) and (${result}, d.id) < (k.result, ${to})
       order by ${result} desc, d.id desc limit ${limit}`;

/** The newest rows of the webhook `w` that wait for their first attempt, from the three indexes of those that are pending. */
export const firstAttemptsOf = (ofType: string, from: string, to: string, limit: string): string =>
  ['is null', `= 'deliver_at'`, `= 'line'`]
    .map(
      (isFor) => `(select d.id from deliveries d
         where d.webhook_id = w.id and d.status = 'pending' and d.start_after ${isFor} and d.attempt_count = 0 ${ofType}
           and d.id >= ${from} and d.id < ${to}
         order by d.id desc limit ${limit})`,
    )
    .join(' union all ');

/** The kinds that match give their newest rows. */
function mergeKinds(accountId: string, filter: DeliveryFilter): Statement {
  const { values, add } = collect();
  const account = add(accountId);
  const range = idRange(filter);
  const [from, to] = [add(range.from), add(range.to)];
  const limit = add(filter.limit);
  const [column, scope] = scopeOf(filter, account, add);
  const ofScope = `d.${column} = ${scope}`;
  const wanted = kindConditions(filter, add);
  const kinds = kindsOf(filter.status, ofScope, add);
  const parts = [
    `select found.id from kinds k cross join lateral (${rowsOfKind(ofScope, from, to, limit)}) as found
     ${wanted.length === 0 ? '' : `where ${wanted.join(' and ')}`}`,
  ];
  if (mayBeUnattempted(filter) && (filter.status ?? 'pending') === 'pending') {
    const ofType = filter.eventType === undefined ? '' : `and d.event_type = ${add(filter.eventType)}`;
    const ofWebhook = filter.webhookId === undefined ? '' : `and w.id = ${scope}`;
    parts.push(
      `select found.id from webhooks w cross join lateral (${firstAttemptsOf(ofType, from, to, limit)}) as found
       where w.account_id = ${account} and w.deleted_at is null ${ofWebhook}`,
    );
  }
  const text = `with recursive ${kinds}
    select ${summaryColumns} from deliveries d
    where d.account_id = ${account} and d.id = any(array(
      select id from (${parts.join(' union all ')}) as found order by id desc limit ${limit}))
    order by d.id desc`;
  return { text, values };
}
