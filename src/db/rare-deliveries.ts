import { deliveryStatuses, type DeliveryStatus } from '../contracts/delivery.ts';
import {
  idRange,
  rowConditions,
  waitConditions,
  type Add,
  type DeliveryConditions,
} from './delivery-filters.ts';
import { opaque } from './opaque.ts';
import { isQueued } from './read-queue.ts';

type Filter = DeliveryConditions & { before?: string | null; limit: number };
/**
 * A query for the ids of the newest deliveries that match, at least the `limit` newest ones.
 *
 * @param more further conditions on the row `d`
 */
type FindIds = (accountId: string, filter: Filter, add: Add, more: string[]) => string;

/**
 * Filters that few deliveries match; each has an index of its own. `statuses`: the states that such deliveries have. The
 * other conditions are checked on the rows, so a condition that matches rarely does read all of them.
 */
export function rareOf(filter: DeliveryConditions) {
  const { isDeferred = false, waitsFor, blocksLine = false, orderKey } = filter;
  const of = (findIds: FindIds, statuses: readonly DeliveryStatus[]) => ({ findIds, statuses });
  if (orderKey !== undefined) return of(ofOrderKey, deliveryStatuses);
  if (isDeferred) return of(inIndex(isQueued, { isDeferred: false }), ['pending', 'retrying']);
  if (waitsFor !== undefined)
    return of(inIndex(waitConditions[waitsFor], { waitsFor: undefined }), ['pending']);
  if (blocksLine) return of(blocking, ['failed']);
  return null;
}

/** The range is one of rows, so that no index without the key is used. */
const ofOrderKey: FindIds = (accountId, filter, add, more) => {
  const { from, to } = idRange(filter);
  const key = `(${add(accountId)}, ${add(filter.orderKey)}`;
  const others = [...rowConditions({ ...filter, orderKey: undefined }, add), ...more].map(opaque);
  const wanted = [
    `d.order_key <> ''`,
    `(d.account_id, d.order_key, d.id) >= ${key}, ${add(from)})`,
    `(d.account_id, d.order_key, d.id) < ${key}, ${add(to)})`,
    ...(filter.webhookId === undefined ? [] : [opaque(`d.webhook_id = ${add(filter.webhookId)}`)]),
    ...others,
  ];
  return `select d.id from deliveries d where ${wanted.join(' and ')}
    order by d.account_id desc, d.order_key desc, d.id desc limit ${add(filter.limit)}`;
};

/** @param without the filters that the condition of the index contains already */
const inIndex =
  (condition: string, without: DeliveryConditions): FindIds =>
  (accountId, filter, add, more) =>
    newestOfWebhooks(accountId, filter, add, (from, before) => {
      const others = [...rowConditions({ ...filter, ...without }, add), ...more].map(opaque);
      const wanted = [condition, `d.id >= ${from}`, `d.id < ${before}`, ...others];
      return `select d.id from deliveries d where d.webhook_id = w.id and ${wanted.join(' and ')}
        order by d.id desc limit 1`;
    });

const blocking: FindIds = (accountId, filter, add, more) =>
  newestOfWebhooks(accountId, filter, add, (from, before) => {
    const others = [...rowConditions({ ...filter, blocksLine: false }, add), ...more, `d.status = 'failed'`];
    return `select l.head_id as id from delivery_lines l
      cross join lateral (select * from deliveries d where d.id = l.head_id offset 0) as d
      where l.webhook_id = w.id and l.blocked_at is not null and l.head_id >= ${from} and l.head_id < ${before}
        and ${others.map(opaque).join(' and ')}
      order by l.head_id desc limit 1`;
  });

/**
 * The newest ids of each of the account's webhooks, at most `limit` of each. Each is found by one lookup: for several at once,
 * PostgreSQL would rather read and sort all of them.
 *
 * @param newest a query for the newest one of the webhook `w` in a range of ids
 */
function newestOfWebhooks(
  accountId: string,
  filter: Filter,
  add: Add,
  newest: (from: string, before: string) => string,
): string {
  const { from, to } = idRange(filter);
  const ofWebhook = filter.webhookId === undefined ? '' : `and w.id = ${add(filter.webhookId)}`;
  return `select found.id from webhooks w cross join lateral (
      with recursive ids(id, position) as (
        select ${add(to)}::text, 0
        union all
        select next.id, ids.position + 1 from ids cross join lateral (${newest(add(from), 'ids.id')}) as next
        where ids.position < ${add(filter.limit)})
      select ids.id from ids where ids.position > 0) as found
    where w.account_id = ${add(accountId)} and w.deleted_at is null ${ofWebhook}`;
}
