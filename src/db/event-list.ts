import type { EventSummary } from '../contracts/event.ts';
import { listDeliveries } from './delivery-log.ts';
import { eventColumns, toEventSummary, type EventRow } from './event-log.ts';
import type { Queryable } from './pool.ts';

export type EventFilter = {
  eventType?: string | undefined;
  since?: Date | undefined;
  until?: Date | undefined;
  label?: string | undefined;
};
/** Where a page of events ended: an event. */
export type EventPosition = { createdAt: string; id: string };
/** `next`: where the next page begins; null: this was the last one. A page may have no rows and a `next`. */
export type Found<Position> = { rows: EventSummary[]; next: Position | null };

/** Events that one page of a filtered list reads; a page whose filter matches rarely is short. */
const scanSize = 10_000;

/** Newest first, after the position `before`. However large the log, no more than `scanSize` events are read. */
export async function listEvents(
  db: Queryable,
  accountId: string,
  filter: EventFilter,
  { before, limit }: { before: EventPosition | null; limit: number },
): Promise<Found<EventPosition>> {
  const isFiltered = filter.eventType !== undefined || filter.label !== undefined;
  const size = isFiltered ? scanSize : limit + 1;
  const { since, until } = filter;
  const { rows } = await db.query<Scanned & Partial<EventRow>>(
    `with scanned as materialized (
       select e.id, e.created_at, e.type, e.labels from events e
       where e.account_id = $1 and e.created_at >= $2 and e.created_at < $3 and (e.created_at, e.id) < ($4, $5)
       order by e.created_at desc, e.id desc limit $6
     ), matching as (
       select id from scanned e where ($8::text is null or e.type = $8) and ($9::text is null or $9 = any(e.labels))
       order by e.created_at desc, e.id desc limit $7
     )
     select scan.count, scan."lastAt", scan."lastId", ${eventColumns}
     from (select count(*)::int as count, min(created_at) as "lastAt",
         (select id from scanned order by created_at, id limit 1) as "lastId" from scanned) as scan
     left join matching on true
     left join events e on e.account_id = $1 and e.id = matching.id
     order by e.created_at desc, e.id desc`,
    [
      accountId,
      since ?? '-infinity',
      until ?? 'infinity',
      before?.createdAt ?? 'infinity',
      before?.id ?? '',
      size,
      limit + 1,
      filter.eventType ?? null,
      filter.label ?? null,
    ],
  );
  const [scan] = rows;
  const found = rows
    .filter(isEvent)
    .map(({ count: _c, lastAt: _a, lastId: _i, ...row }) => toEventSummary(row));
  const last = found.length > limit ? found[limit - 1] : undefined;
  if (last) return { rows: found.slice(0, limit), next: { createdAt: last.created_at, id: last.id } };
  if (!scan || scan.count < size || scan.lastAt === null || scan.lastId === null)
    return { rows: found, next: null };
  return { rows: found, next: { createdAt: scan.lastAt.toISOString(), id: scan.lastId } };
}

/** How many events were scanned, and the last of them. */
type Scanned = { count: number; lastAt: Date | null; lastId: string | null };

/** The row of a scan without a match has no event. */
const isEvent = (row: Scanned & Partial<EventRow>): row is Scanned & EventRow => typeof row.id === 'string';

/** Deliveries that one page of undelivered events reads of each state. */
const candidateSize = 200;
/** How much later than a delivery's id its event may have been written: clocks of two machines differ. */
const clockSkewMs = 60_000;

/**
 * Events with a delivery that ended without being delivered, by the newest such delivery, newest first. `before`: that of the
 * last event of the previous page.
 */
export async function listUndelivered(
  db: Queryable,
  accountId: string,
  { eventType, since, until, label }: EventFilter,
  { before, limit }: { before: string | null; limit: number },
): Promise<Found<string>> {
  const size = Math.max(candidateSize, limit + 1);
  const from = since && new Date(since.getTime() - clockSkewMs);
  const ended = await Promise.all(
    (['failed', 'canceled'] as const).map((status) =>
      listDeliveries(db, accountId, { status, eventType, since: from, before, limit: size }),
    ),
  );
  const candidates = ended
    .flat()
    .map(({ id }) => id)
    .toSorted()
    .toReversed()
    .slice(0, size);
  const { rows } = await db.query<EventRow & { deliveryId: string }>(
    `select d.id as "deliveryId", ${eventColumns}
     from deliveries d join events e on e.account_id = d.account_id and e.id = d.event_id
     where d.id = any($2) and d.account_id = $1 and e.created_at >= $3 and e.created_at < $4
       and ($5::text is null or $5 = any(e.labels))
       and not exists (
         select 1 from deliveries n where n.account_id = $1 and n.event_id = d.event_id
           and n.status in ('failed', 'canceled') and n.id > d.id)
     order by d.id desc limit $6`,
    [accountId, candidates, since ?? '-infinity', until ?? 'infinity', label ?? null, limit + 1],
  );
  const found = rows.slice(0, limit);
  const last = rows.length > limit ? found.at(-1)?.deliveryId : undefined;
  const end = candidates.length < size ? undefined : candidates.at(-1);
  return { rows: found.map(({ deliveryId: _d, ...row }) => toEventSummary(row)), next: last ?? end ?? null };
}
