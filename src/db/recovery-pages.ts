import { newId, timeOfId } from '../domain/ids.ts';
import { filtersThatMatch, isOperational } from '../domain/subscription.ts';
import type { WebhookFilter } from '../contracts/filter.ts';
import type { RecoveryKind } from '../contracts/recovery.ts';
import { columns } from './columns.ts';
import { joinLines } from './delivery-lines.ts';
import { judgeByFilter } from './missed-events.ts';
import type { Queryable } from './pool.ts';
import { recoveryColumns, type NewRecovery, type RecoveryRow } from './recoveries-table.ts';

/** The events of a recovery, and which of their deliveries it sends. */
type Window = Pick<
  NewRecovery,
  'accountId' | 'webhookId' | 'since' | 'until' | 'kind' | 'filters' | 'filter'
> & {
  /** Deliveries that ended later are not sent again. */
  endedBefore: Date;
  /** Days that ended deliveries are kept; 0: forever. */
  retentionDays: number;
};

/** One delivery to be sent again. `isNew`: there was none, and it will have this id. Ids only, because it is stored. */
type PageItem = { eventId: string; eventType: string; deliveryId: string; isNew: boolean };

// An event without a body, or past its expires_at, cannot be sent. One that is older than the retention of deliveries may have
// been delivered; the hour is for rows that are removed while this runs. One that names its webhooks was missed by none of them.
const isSendable = `e.body is not null and coalesce(e.expires_at > now(), true)`;
const isFailed = `(${isSendable} and d.status = 'failed' and d.ended_at < $5)`;
const isMissed = `(${isSendable} and d.id is null and e.webhook_ids is null
  and ($6::int = 0 or e.created_at > now() - make_interval(days => $6) + interval '1 hour'))`;
const inWindow = `from events e left join deliveries d on d.account_id = $1 and d.event_id = e.id and d.webhook_id = $2
  where e.account_id = $1 and e.created_at >= $3 and e.created_at < $4`;

function wants(window: Pick<Window, 'kind' | 'filters'>, eventType: string, kind: RecoveryKind): boolean {
  if (window.kind !== null && window.kind !== kind) return false;
  if (kind === 'failed') return true;
  // Operational events are about their moment, and one about the webhook itself is not for it.
  return (
    !isOperational(eventType) && filtersThatMatch(eventType).some((filter) => window.filters.includes(filter))
  );
}

const valuesOf = (w: Window) => [w.accountId, w.webhookId, w.since, w.until, w.endedBefore, w.retentionDays];

/** How many deliveries a recovery with that window would send again. */
export async function countRecoverable(db: Queryable, window: Window): Promise<number> {
  return window.filter === null || window.kind === 'failed'
    ? countByType(db, window)
    : countOneByOne(db, window);
}

async function countByType(db: Queryable, window: Window): Promise<number> {
  const { rows } = await db.query<{ type: string; failed: number; missed: number }>(
    `select e.type, count(*) filter (where ${isFailed})::int as failed,
       count(*) filter (where ${isMissed})::int as missed
     ${inWindow} group by e.type`,
    valuesOf(window),
  );
  return rows.reduce(
    (sum, { type, failed, missed }) =>
      sum + (wants(window, type, 'failed') ? failed : 0) + (wants(window, type, 'missed') ? missed : 0),
    0,
  );
}

/** PostgreSQL cannot judge by a filter, so each event that was missed is read. */
async function countOneByOne(db: Queryable, window: Window): Promise<number> {
  let count = 0;
  let cursor: Cursor | null = null;
  for (;;) {
    const scanned: Scanned[] = await scan(db, window, cursor);
    for await (const { isWanted } of judge(db, window, scanned)) if (isWanted) count += 1;
    const last = scanned.at(-1);
    if (!last || scanned.length < scanSize) return count;
    cursor = last;
  }
}

export type RecoveryToRun = Omit<RecoveryRow, 'outcome'> & {
  requestedBy: string;
  filters: string[];
  filter: WebhookFilter | null;
  cursorAt: string | null;
  cursorId: string | null;
  pageNumber: number;
  page: PageItem[] | null;
  isActive: boolean;
  isWebhookDeleted: boolean;
};

export async function loadRecovery(db: Queryable, id: string) {
  const { rows } = await db.query<RecoveryToRun>(
    `select ${recoveryColumns}, requested_by as "requestedBy", filters, filter, cursor_at::text as "cursorAt",
       cursor_id as "cursorId", page_number as "pageNumber", page, "isActive", "isWebhookDeleted"
     from operations join (
       select id as webhook_id, active as "isActive", deleted_at is not null as "isWebhookDeleted" from webhooks
     ) as w using (webhook_id) where id = $1 and action = 'recover'`,
    [id],
  );
  return rows[0] ?? null;
}

/** Events read in one statement: a long window without anything to send again is read in short steps. */
const scanSize = 2000;

/** The last event that was read. */
type Cursor = { at: string; id: string };
type Scanned = Cursor & {
  type: string;
  bytes: number | null;
  deliveryId: string | null;
  isFailed: boolean | null;
  isMissed: boolean | null;
};

/** The next events of a window, oldest first. */
async function scan(db: Queryable, window: Window, after: Cursor | null): Promise<Scanned[]> {
  const { rows } = await db.query<Scanned>(
    `select e.id, e.type, e.created_at::text as at, octet_length(e.body) as bytes, d.id as "deliveryId",
       ${isFailed} as "isFailed", ${isMissed} as "isMissed"
     ${inWindow} and e.created_at >= greatest($3, $7::timestamptz)
       and ($7::timestamptz is null or (e.created_at, e.id) > ($7, $8))
     order by e.created_at, e.id limit $9`,
    [...valuesOf(window), after?.at ?? null, after?.id ?? null, scanSize],
  );
  return rows;
}

/** Which of them the window sends again. */
async function* judge(db: Queryable, window: Window, scanned: readonly Scanned[]) {
  const isOfType = ({ isFailed: failed, isMissed: missed, type }: Scanned): boolean =>
    failed ? wants(window, type, 'failed') : missed === true && wants(window, type, 'missed');
  const needsFilter = (event: Scanned) => !event.isFailed && isOfType(event);
  for await (const { event, meetsFilter } of judgeByFilter(db, window, scanned, needsFilter))
    yield { event, isWanted: meetsFilter && isOfType(event) };
}

/**
 * Reads on, oldest first, and makes the deliveries to be sent again the recovery's page: at most `size`, or none where the
 * events that were read have none. Where another process was faster, nothing changes.
 */
export async function claimPage(db: Queryable, recovery: RecoveryToRun, size: number, retentionDays: number) {
  const window = { ...recovery, endedBefore: recovery.createdAt, retentionDays };
  const { cursorAt, cursorId } = recovery;
  const cursor = cursorAt === null || cursorId === null ? null : { at: cursorAt, id: cursorId };
  const items: PageItem[] = [];
  let last: Cursor | undefined;
  for await (const { event, isWanted } of judge(db, window, await scan(db, window, cursor))) {
    if (items.length === size) break;
    last = event;
    if (!isWanted) continue;
    items.push({
      eventId: event.id,
      eventType: event.type,
      deliveryId: event.deliveryId ?? newId('dlv'),
      isNew: event.deliveryId === null,
    });
  }
  if (!last) return { isEnd: true };
  await db.query(
    `update operations set cursor_at = $3::timestamptz, cursor_id = $4,
       page = $5::jsonb, page_number = page_number + case when $5::jsonb is null then 0 else 1 end
     where id = $1 and page_number = $2 and page is null and status in ('running', 'paused')`,
    [recovery.id, recovery.pageNumber, last.at, last.id, items.length === 0 ? null : JSON.stringify(items)],
  );
  return { isEnd: false };
}

/** The request to send a delivery again, in its timeline. */
export const recoverEntry = ({ requestedBy: by }: RecoveryToRun, at: Date) =>
  ({ at: at.toISOString(), type: 'signal', name: 'recover', by, outside: true }) as const;

/**
 * Inserts the deliveries that a page's events never had, for the dispatcher. Their timeline has the requester.
 * Returns how many of those events have a delivery now. Another process may have created it.
 */
export async function insertMissed(
  db: Queryable,
  recovery: RecoveryToRun,
  items: readonly PageItem[],
): Promise<number> {
  if (items.length === 0) return 0;
  const { accountId, webhookId } = recovery;
  const missed = columns<PageItem & { n: number }>(
    't',
    {
      n: ['int', ({ n }) => n],
      id: ['text', ({ deliveryId }) => deliveryId],
      event_id: ['text', ({ eventId }) => eventId],
      event_type: ['text', ({ eventType }) => eventType],
      created_at: ['timestamptz', ({ deliveryId }) => timeOfId(deliveryId)],
      timeline: ['jsonb', ({ deliveryId }) => JSON.stringify([recoverEntry(recovery, timeOfId(deliveryId))])],
    },
    4,
  );
  await db.query(
    `with found as materialized (
       select t.*, w.schedule, e.expires_at, case when e.deliver_at > now() then e.deliver_at end as deliver_at,
         case w.ordering when 'all' then '' when 'by_key' then e.order_key end as order_key
       from ${missed.table}
       join events e on e.account_id = $1 and e.id = t.event_id and e.body is not null
       join webhooks w on w.id = $2
       -- Locked, so that none is added to an event that is being expunged.
       for key share of e),
     ${joinLines(`select distinct $2::text as webhook_id, order_key from found where order_key is not null and deliver_at is null`)}
     insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, timeline, operation_id,
       schedule, start_after, deliver_at, expires_at, order_key, line_position)
     select f.id, $1, $2, f.event_id, f.event_type, 'pending', f.created_at,
       f.timeline || case when f.deliver_at is not null then scheduled_entry(f.created_at, f.deliver_at) else '[]' end, $3, f.schedule,
       case when f.deliver_at is not null then 'deliver_at' when l.order_key is not null then 'line' end,
       f.deliver_at, f.expires_at, f.order_key,
       -- They join at the end, in the order of the page.
       l.last_position - count(*) over (partition by f.order_key order by f.n desc) + 1
     from found f left join lines l on f.deliver_at is null and l.order_key = f.order_key
     on conflict (account_id, event_id, webhook_id) do nothing`,
    [accountId, webhookId, recovery.id, ...missed.values(items.map((item, n) => ({ ...item, n })))],
  );
  const { rowCount } = await db.query(
    `select 1 from deliveries where account_id = $1 and event_id = any($2) and webhook_id = $3`,
    [accountId, items.map(({ eventId }) => eventId), webhookId],
  );
  return rowCount ?? 0;
}
