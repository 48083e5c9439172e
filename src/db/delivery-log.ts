import { idFloor } from '../domain/ids.ts';
import type { AttemptErrorCode } from '../contracts/attempt-schema.ts';
import type { DeliveryStatus } from '../contracts/delivery.ts';
import { summaryColumns, toSummary, type DeliveryRow } from './deliveries-table.ts';
import { opaque } from './opaque.ts';
import type { Queryable } from './pool.ts';
import { isQueued } from './read-queue.ts';

export type DeliveryConditions = {
  webhookId?: string | undefined;
  eventId?: string | undefined;
  /** The last operation that acted on it. */
  operationId?: string | undefined;
  eventType?: string | undefined;
  status?: DeliveryStatus | undefined;
  /** Only those that wait because of a limit. */
  isDeferred?: boolean | undefined;
  since?: Date | undefined;
  until?: Date | undefined;
  /** The last response's status code, as a range: 404 is [404, 404], 5xx is [500, 599]. */
  code?: [number, number] | undefined;
  /** The last attempt's error code is one of these. */
  errors?: readonly AttemptErrorCode[] | undefined;
};
export type DeliveryFilter = DeliveryConditions & { before: string | null; limit: number };

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
  const { eventId, operationId, isDeferred = false, eventType, status, code, errors, limit } = filter;
  if (operationId !== undefined) {
    const { rows } = await db.query<LogRow>(listOperation(accountId, filter, operationId));
    return rows.map(toSummary);
  }
  if (eventId !== undefined) {
    const { rows } = await db.query<LogRow>(ofEvent(accountId, filter, eventId));
    return rows.map(toSummary);
  }
  if (isDeferred) {
    const { rows } = await db.query<LogRow>(listDeferred(accountId, filter));
    return rows.map(toSummary);
  }
  const isFiltered = [eventType, status, code, errors].some((value) => value !== undefined);
  const newest = scanNewest(accountId, filter, isFiltered ? scanSize : limit);
  let { rows } = await db.query<LogRow>(newest);
  if (isFiltered && rows.length < limit) ({ rows } = await db.query<LogRow>(mergeKinds(accountId, filter)));
  return rows.map(toSummary);
}

type LogRow = Omit<DeliveryRow, 'timeline'>;
type Statement = { text: string; values: unknown[] };

/** Collects the values of a statement; `add` returns the parameter of a value. */
export function collect(): { values: unknown[]; add: (value: unknown) => string } {
  const values: unknown[] = [];
  return { values, add: (value) => `$${values.push(value)}` };
}

/** From `from` (inclusive) to `to` (exclusive); without bounds, all ids. */
export function idRange({
  since,
  until,
  before = null,
}: Pick<DeliveryConditions, 'since' | 'until'> & { before?: string | null }): { from: string; to: string } {
  const ends = [before ?? 'dlv_z', until === undefined ? 'dlv_z' : idFloor('dlv', until)];
  return { from: since === undefined ? 'dlv_' : idFloor('dlv', since), to: ends.toSorted()[0] ?? '' };
}

/** An event has at most one delivery for each webhook, so all of them are read. */
function ofEvent(accountId: string, filter: DeliveryFilter, eventId: string): Statement {
  const { values, add } = collect();
  const range = idRange(filter);
  const { webhookId } = filter;
  const wanted = [
    ...(webhookId === undefined ? [] : [`d.webhook_id = ${add(webhookId)}`]),
    ...conditions(filter, add, ofRow),
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
  add: (value: unknown) => string,
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
    ...conditions(filter, add, ofRow),
  ];
}

function listOperation(accountId: string, filter: DeliveryFilter, operationId: string): Statement {
  const { values, add } = collect();
  const text = `select ${summaryColumns} from deliveries d
    where ${ofOperation(accountId, filter, operationId, add).join(' and ')}
    order by d.operation_id desc, d.id desc limit ${add(filter.limit)}`;
  return { text, values };
}

/** The newest deferred rows of each of the account's webhooks, from `deferredOf`. */
function listDeferred(accountId: string, filter: DeliveryFilter): Statement {
  const { values, add } = collect();
  const found = deferredOf(accountId, filter, add);
  const text = `select ${summaryColumns} from deliveries d
    where d.account_id = ${add(accountId)} and d.id = any(array(${found} order by id desc limit ${add(filter.limit)}))
    order by d.id desc`;
  return { text, values };
}

/**
 * A query for the ids of deferred deliveries, at most `limit` of each webhook, newest first. Each is found by one lookup in the index
 * of its webhook's queue: for several at once, PostgreSQL would rather read and sort the whole queue. Other conditions are checked
 * on the rows, so a condition that matches rarely does read all of it.
 *
 * @param more further conditions on the row `d`
 */
export function deferredOf(
  accountId: string,
  filter: DeliveryConditions & { before?: string | null; limit: number },
  add: (value: unknown) => string,
  more: string[] = [],
): string {
  const { from, to } = idRange(filter);
  const others = [...conditions({ ...filter, isDeferred: false }, add, ofRow), ...more].map(opaque);
  const wanted = ['d.webhook_id = w.id', isQueued, `d.id >= ${add(from)}`, 'd.id < queue.id', ...others];
  const ofWebhook = filter.webhookId === undefined ? '' : `and w.id = ${add(filter.webhookId)}`;
  return `select found.id from webhooks w cross join lateral (
      with recursive queue(id, position) as (
        select ${add(to)}::text, 0
        union all
        select next.id, queue.position + 1 from queue cross join lateral (
          select d.id from deliveries d where ${wanted.join(' and ')} order by d.id desc limit 1) as next
        where queue.position < ${add(filter.limit)})
      select queue.id from queue where queue.position > 0) as found
    where w.account_id = ${add(accountId)} and w.deleted_at is null ${ofWebhook}`;
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
  const wanted = conditions(filter, add, ofRow);
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
export function kindsOf(
  status: DeliveryStatus | undefined,
  ofScope: string,
  add: (value: unknown) => string,
): string {
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

/** The newest rows of the webhook `w` that wait for their first attempt. */
export const firstAttemptsOf = (ofType: string, from: string, to: string, limit: string): string =>
  ['null', 'not null']
    .map(
      (startAfter) => `(select d.id from deliveries d
         where d.webhook_id = w.id and d.status = 'pending' and d.start_after is ${startAfter} and d.attempt_count = 0 ${ofType}
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
  const wanted = conditions(filter, add, ofKind);
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

/** Without an attempt, there is neither a code nor an error. */
export const mayBeUnattempted = ({ code, errors }: DeliveryConditions): boolean =>
  code === undefined && errors === undefined;

export function scopeOf({ webhookId }: DeliveryConditions, account: string, add: (value: unknown) => string) {
  return webhookId === undefined
    ? (['account_id', account] as const)
    : (['webhook_id', add(webhookId)] as const);
}

/** A row of deliveries, or a kind, for the conditions of a filter. */
type Columns = { table: 'd' | 'k'; code: string; error: string };
export const ofRow: Columns = { table: 'd', code: 'd.last_status_code::text', error: 'd.last_error_code' };
export const ofKind: Columns = { table: 'k', code: 'k.result', error: `ltrim(k.result, '0123456789')` };

export function conditions(
  { eventType, status, isDeferred = false, code, errors }: DeliveryConditions,
  add: (value: unknown) => string,
  { table, code: codeColumn, error }: Columns,
): string[] {
  return [
    ...(status === undefined ? [] : [`${table}.status = ${add(status)}`]),
    ...(isDeferred ? [isQueued] : []),
    ...(eventType === undefined ? [] : [`${table}.event_type = ${add(eventType)}`]),
    // As texts, in whose order `404client_error` stands between `404` and `405`.
    ...(code === undefined
      ? []
      : [
          `${codeColumn} collate "C" >= ${add(String(code[0]))}`,
          `${codeColumn} collate "C" < ${add(String(code[1] + 1))}`,
        ]),
    ...(errors === undefined ? [] : [`${error} = any(${add(errors)})`]),
  ];
}
