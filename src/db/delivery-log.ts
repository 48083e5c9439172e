import { idFloor } from '../domain/ids.ts';
import type { DeliveryStatus } from '../contracts/delivery.ts';
import { summaryColumns, toSummary, type DeliveryRow } from './deliveries-table.ts';
import type { Queryable } from './pool.ts';

type DeliveryFilter = {
  webhookId?: string | undefined;
  eventType?: string | undefined;
  status?: DeliveryStatus | undefined;
  since?: Date | undefined;
  until?: Date | undefined;
  /** The last response's status code, as a range: 404 is [404, 404], 5xx is [500, 599]. */
  code?: [number, number] | undefined;
  before: string | null;
  limit: number;
};

/** Rows that are scanned in order before a filter is treated as one that matches rarely. */
const scanSize = 500;
const code = 'coalesce(d.last_status_code, 0)';
/** As the indexes by kind have it. */
const hasKind = `(d.status <> 'pending' or d.last_status_code is not null)`;

/**
 * The delivery log, newest first. Ids sort by time, so a time range is a range of ids. However large the log, and however
 * rarely a filter matches, only the newest rows and a page of each existing kind are read.
 */
export async function listDeliveries(db: Queryable, accountId: string, filter: DeliveryFilter) {
  const { eventType, status, code: codes, limit } = filter;
  const isFiltered = eventType !== undefined || status !== undefined || codes !== undefined;
  const newest = scanNewest(accountId, filter, isFiltered ? scanSize : limit);
  let { rows } = await db.query<LogRow>(newest);
  if (isFiltered && rows.length < limit) ({ rows } = await db.query<LogRow>(mergeKinds(accountId, filter)));
  return rows.map(toSummary);
}

type LogRow = Omit<DeliveryRow, 'timeline'>;
type Statement = { text: string; values: unknown[] };

/** Collects the values of a statement; `add` returns the parameter of a value. */
function collect(): { values: unknown[]; add: (value: unknown) => string } {
  const values: unknown[] = [];
  return { values, add: (value) => `$${values.push(value)}` };
}

/** From `from` (inclusive) to `to` (exclusive); without bounds, all ids. */
function idRange({ since, until, before }: DeliveryFilter): { from: string; to: string } {
  const ends = [before ?? 'dlv_z', until === undefined ? 'dlv_z' : idFloor('dlv', until)];
  return { from: since === undefined ? 'dlv_' : idFloor('dlv', since), to: ends.toSorted()[0] ?? '' };
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
  const wanted = conditions(filter, add, 'd', 'd.last_status_code');
  const text = `select ${summaryColumns} from (
      select * from deliveries d
      where (d.${column}, d.id) >= (${scope}, ${add(range.from)}) and (d.${column}, d.id) < (${scope}, ${add(range.to)})
      order by d.${column} desc, d.id desc limit ${add(size)}) as d
    where ${[`d.account_id = ${account}`, ...wanted].join(' and ')}
    order by d.${column} desc, d.id desc limit ${add(filter.limit)}`;
  return { text, values };
}

/**
 * A kind is all rows of one state, event type and status code. The kinds are found one after the other, each by one index
 * lookup, and each kind that matches gives its newest rows. A delivery that waits for its first attempt is of no kind.
 */
function mergeKinds(accountId: string, filter: DeliveryFilter): Statement {
  const { values, add } = collect();
  const account = add(accountId);
  const range = idRange(filter);
  const [from, to] = [add(range.from), add(range.to)];
  const limit = add(filter.limit);
  const [column, scope] = scopeOf(filter, account, add);
  const wanted = conditions(filter, add, 'k', 'k.code');
  const ofScope = `from deliveries d where d.${column} = ${scope} and ${hasKind}
    ${filter.status === undefined ? '' : `and d.status = ${add(filter.status)}`}`;
  const kind = `d.status, d.event_type, ${code}`;
  // A given state is compared alone: a comparison of all three would not use the index then.
  const isNext =
    filter.status === undefined
      ? `(${kind}) > (k.status, k.event_type, k.code)`
      : `(d.event_type, ${code}) > (k.event_type, k.code)`;
  const parts = [
    `select found.id from kinds k cross join lateral (
       select d.id from deliveries d
       where d.${column} = ${scope} and ${hasKind} and d.status = k.status and d.event_type = k.event_type
         and (${code}, d.id) >= (k.code, ${from}) and (${code}, d.id) < (k.code, ${to})
       order by ${code} desc, d.id desc limit ${limit}) as found
     ${wanted.length === 0 ? '' : `where ${wanted.join(' and ')}`}`,
  ];
  if (filter.code === undefined && (filter.status ?? 'pending') === 'pending') {
    const ofType = filter.eventType === undefined ? '' : `and d.event_type = ${add(filter.eventType)}`;
    const ofWebhook = filter.webhookId === undefined ? '' : `and w.id = ${scope}`;
    parts.push(
      `select found.id from webhooks w cross join lateral (
         select d.id from deliveries d
         where d.webhook_id = w.id and d.status = 'pending' and d.last_status_code is null ${ofType}
           and d.id >= ${from} and d.id < ${to}
         order by d.id desc limit ${limit}) as found
       where w.account_id = ${account} and w.deleted_at is null ${ofWebhook}`,
    );
  }
  const text = `with recursive kinds(status, event_type, code) as (
      (select ${kind} ${ofScope} order by ${kind} limit 1)
      union all
      select next.* from kinds k cross join lateral (
        select ${kind} ${ofScope} and ${isNext} order by ${kind} limit 1) as next
    )
    select ${summaryColumns} from deliveries d
    where d.account_id = ${account} and d.id = any(array(
      select id from (${parts.join(' union all ')}) as found order by id desc limit ${limit}))
    order by d.id desc`;
  return { text, values };
}

function scopeOf({ webhookId }: DeliveryFilter, account: string, add: (value: unknown) => string) {
  return webhookId === undefined
    ? (['account_id', account] as const)
    : (['webhook_id', add(webhookId)] as const);
}

function conditions(
  { eventType, status, code: codes }: DeliveryFilter,
  add: (value: unknown) => string,
  table: string,
  codeColumn: string,
): string[] {
  return [
    ...(status === undefined ? [] : [`${table}.status = ${add(status)}`]),
    ...(eventType === undefined ? [] : [`${table}.event_type = ${add(eventType)}`]),
    ...(codes === undefined ? [] : [`${codeColumn} between ${add(codes[0])} and ${add(codes[1])}`]),
  ];
}
