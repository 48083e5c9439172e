import { deliveryStatuses, type DeliveryStatus } from '../contracts/delivery.ts';
import {
  collect,
  conditions,
  firstAttemptsOf,
  idRange,
  kindsOf,
  mayBeUnattempted,
  ofKind,
  ofRow,
  rowsOfKind,
  scopeOf,
  type DeliveryConditions,
} from './delivery-log.ts';
import type { Queryable } from './pool.ts';

type Statement = { text: string; values: unknown[] };
export type Counted = Omit<DeliveryConditions, 'status'>;

/** Deliveries by status, each counted up to `limit`. No more than `limit` rows are read for a status. */
export async function countDeliveries(
  db: Queryable,
  accountId: string,
  filter: Counted,
  limit: number,
): Promise<Record<DeliveryStatus, number>> {
  const statement =
    filter.eventId === undefined
      ? countKinds(accountId, filter, limit)
      : countEvent(accountId, filter, filter.eventId);
  const { rows } = await db.query<{ status: DeliveryStatus; count: number }>(statement);
  const found = new Map(rows.map(({ status, count }) => [status, count]));
  return Object.fromEntries(
    deliveryStatuses.map((status) => [status, Math.min(limit, found.get(status) ?? 0)]),
  ) as Record<DeliveryStatus, number>;
}

/** An event has at most one delivery for each webhook, so all of them are read. */
function countEvent(accountId: string, filter: Counted, eventId: string): Statement {
  const { values, add } = collect();
  const range = idRange(filter);
  const { webhookId } = filter;
  const wanted = [
    `d.id >= ${add(range.from)}`,
    `d.id < ${add(range.to)}`,
    ...(webhookId === undefined ? [] : [`d.webhook_id = ${add(webhookId)}`]),
    ...conditions(filter, add, ofRow),
  ];
  const text = `select status, count(*)::int as count from (
      select * from deliveries d where d.account_id = ${add(accountId)} and d.event_id = ${add(eventId)} offset 0) as d
    where ${wanted.join(' and ')} group by status`;
  return { text, values };
}

function countKinds(accountId: string, filter: Counted, max: number): Statement {
  const { values, add } = collect();
  const account = add(accountId);
  const range = idRange(filter);
  const [from, to, limit] = [add(range.from), add(range.to), add(max)];
  const [column, scope] = scopeOf(filter, account, add);
  // Of a webhook of another account, there are no kinds.
  const isOwn =
    filter.webhookId === undefined
      ? ''
      : ` and exists (select 1 from webhooks w where w.id = ${scope} and w.account_id = ${account})`;
  const ofScope = `d.${column} = ${scope}`;
  const wanted = ['k.status = s.status', ...conditions(filter, add, ofKind)];
  const parts = [
    `select 1 from kinds k cross join lateral (${rowsOfKind(ofScope, from, to, limit)}) as found
       where ${wanted.join(' and ')}`,
  ];
  if (mayBeUnattempted(filter)) {
    const ofType = filter.eventType === undefined ? '' : `and d.event_type = ${add(filter.eventType)}`;
    const ofWebhook = filter.webhookId === undefined ? '' : `and w.id = ${scope}`;
    parts.push(
      `select 1 from webhooks w cross join lateral (${firstAttemptsOf(ofType, from, to, limit)}) as found
       where s.status = 'pending' and w.account_id = ${account} and w.deleted_at is null ${ofWebhook}`,
    );
  }
  const text = `with recursive ${kindsOf(undefined, ofScope + isOwn, add)}
    select s.status, (select count(*)::int from (${parts.join(' union all ')} limit ${limit}) as counted) as count
    from unnest(${add(deliveryStatuses)}::text[]) as s(status)`;
  return { text, values };
}
