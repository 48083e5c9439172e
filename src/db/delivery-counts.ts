import { deliveryStatuses, type DeliveryStatus } from '../contracts/delivery.ts';
import {
  collect,
  idRange,
  kindConditions,
  mayBeUnattempted,
  rowConditions,
  scopeOf,
  type DeliveryConditions,
} from './delivery-filters.ts';
import { firstAttemptsOf, kindsOf, ofOperation, rowsOfKind } from './delivery-log.ts';
import type { Queryable } from './pool.ts';
import { rareOf } from './rare-deliveries.ts';

type Statement = { text: string; values: unknown[] };
export type Counted = Omit<DeliveryConditions, 'status'>;

/** Deliveries by status, each counted up to `limit`. No more than `limit` rows are read for a status. */
export async function countDeliveries(
  db: Queryable,
  accountId: string,
  filter: Counted,
  limit: number,
): Promise<Record<DeliveryStatus, number>> {
  const { rows } = await db.query<{ status: DeliveryStatus; count: number }>(
    statementOf(accountId, filter, limit),
  );
  const found = new Map(rows.map(({ status, count }) => [status, count]));
  return Object.fromEntries(
    deliveryStatuses.map((status) => [status, Math.min(limit, found.get(status) ?? 0)]),
  ) as Record<DeliveryStatus, number>;
}

function statementOf(accountId: string, filter: Counted, limit: number): Statement {
  const { eventId, operationId } = filter;
  if (operationId !== undefined) return countOperation(accountId, filter, operationId, limit);
  if (eventId !== undefined) return countEvent(accountId, filter, eventId);
  return countRare(accountId, filter, limit) ?? countKinds(accountId, filter, limit);
}

/** Its index has the states, so rows of other states are not read for a count. */
function countOperation(accountId: string, filter: Counted, operationId: string, limit: number): Statement {
  const { values, add } = collect();
  const text = `select s.status, (select count(*)::int from (
        select 1 from deliveries d
        where ${ofOperation(accountId, filter, operationId, add).join(' and ')} and d.status = s.status
        limit ${add(limit)}) as counted) as count
    from unnest(${add(deliveryStatuses)}::text[]) as s(status)`;
  return { text, values };
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
    ...rowConditions(filter, add),
  ];
  const text = `select status, count(*)::int as count from (
      select * from deliveries d where d.account_id = ${add(accountId)} and d.event_id = ${add(eventId)} offset 0) as d
    where ${wanted.join(' and ')} group by status`;
  return { text, values };
}

function countRare(accountId: string, filter: Counted, limit: number): Statement | null {
  const rare = rareOf(filter);
  if (!rare) return null;
  const { values, add } = collect();
  const found = rare.findIds(accountId, { ...filter, limit }, add, ['d.status = s.status']);
  const text = `select s.status, (select count(*)::int from (
        select from (${found}) as found limit ${add(limit)}) as counted) as count
    from unnest(${add(rare.statuses)}::text[]) as s(status)`;
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
  const wanted = ['k.status = s.status', ...kindConditions(filter, add)];
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
