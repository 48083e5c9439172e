import type { DeliveryStatus } from '../contracts/delivery.ts';
import type { OnFailure } from '../contracts/webhook-policy.ts';
import { decideLine, type LineFacts, type LineStep } from '../domain/delivery-line.ts';
import { columns, type Columns } from './columns.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';

/** Positions that a statement can give to the deliveries of one line. */
const positionsAtOnce = 1_048_576;

/**
 * Parts of a statement that adds deliveries to lines: `lines` has the last position of each line, from which those of earlier
 * deliveries are counted back. Lines are locked in one order, so that two statements do not deadlock.
 *
 * @param found a query of distinct webhook_id and order_key
 */
export const joinLines = (found: string): string => `lines as (
    insert into delivery_lines (webhook_id, order_key, last_position)
    select webhook_id, order_key, nextval('line_positions') * ${positionsAtOnce}
    from (${found}) as joined order by webhook_id, order_key
    on conflict (webhook_id, order_key) do update
      -- Only now, for the row is locked.
      set last_position = nextval('line_positions') * ${positionsAtOnce}
    returning webhook_id, order_key, last_position
  ), line_checks_of_joined as (
    insert into line_checks (webhook_id, order_key) select webhook_id, order_key from lines
  )`;

const open = `('pending', 'retrying', 'held')`;

/** Lines that are checked at once. */
const batchSize = 500;

type Check = { id: string; webhookId: string; orderKey: string; headId: string | null };
type Line = Pick<Check, 'webhookId' | 'orderKey'>;
type Found = Line & {
  headStatus: DeliveryStatus | null;
  isHeadWaiting: boolean;
  isHeadStopping: boolean;
  onFailure: OnFailure;
  firstId: string | null;
};

const lineColumns: Columns<Line> = {
  webhook_id: ['text', ({ webhookId }) => webhookId],
  order_key: ['text', ({ orderKey }) => orderKey],
};
const lineTable = columns<Line>('t', lineColumns);
const withHead = columns<Line & { headId: string | null }>('t', {
  ...lineColumns,
  head_id: ['text', ({ headId }) => headId],
});

/**
 * `advanced`: how many lines have another head. `blocking`: the failed heads that block their line from now on. `checked`, `left`:
 * lines that were checked, and that must be checked again soon.
 */
export type Advanced = { advanced: number; blocking: string[]; checked: number; left: number };

/**
 * Checks the lines whose head has ended, or that were joined, oldest first. Several processes may do so. It waits for no lock:
 * a line or delivery that is locked is left for the next time.
 */
export async function advanceLines(pool: Pool, limit = batchSize): Promise<Advanced> {
  const { rows } = await pool.query<{ due: boolean }>({
    name: 'any-line-checks',
    text: `select exists (select 1 from line_checks) as due`,
  });
  if (!rows[0]?.due) return { advanced: 0, blocking: [], checked: 0, left: 0 };
  return withTransaction(pool, async (client) => {
    const checks = await claimChecks(client, limit);
    if (checks.length < limit) await keepLinesOfReopened(client, limit);
    if (checks.length === 0)
      return { advanced: 0, blocking: [], checked: 0, left: await countChecks(client) };
    const lines = await readLines(client, [
      ...new Map(checks.map((check) => [keyOf(check), check])).values(),
    ]);
    const steps = new Map(lines.map((line) => [keyOf(line), decideLine(factsOf(line))]));
    const { left, blocking } = await takeSteps(client, lines, steps);
    await client.query({
      name: 'delete-line-checks',
      text: `delete from line_checks where id = any($1)`,
      values: [checks.filter((check) => !left.has(keyOf(check))).map(({ id }) => id)],
    });
    const advanced = [...steps].filter(([key, { is }]) => is === 'advance' && !left.has(key)).length;
    return { advanced, blocking, checked: checks.length, left: left.size };
  });
}

const keyOf = ({ webhookId, orderKey }: Line): string => `${webhookId} ${orderKey}`;

/** Locks the lines. */
async function claimChecks(db: Queryable, limit: number): Promise<Check[]> {
  const { rows } = await db.query<Check>({
    name: 'claim-line-checks',
    text: `select c.id, l.webhook_id as "webhookId", l.order_key as "orderKey", l.head_id as "headId"
      from line_checks c join delivery_lines l on l.webhook_id = c.webhook_id and l.order_key = c.order_key
      order by c.id limit $1 for update of l skip locked`,
    values: [limit],
  });
  return rows;
}

/** A line may have been deleted before one of its deliveries was reopened. Checks of lines that do not exist are removed. */
async function keepLinesOfReopened(db: Queryable, limit: number): Promise<void> {
  await db.query({
    name: 'keep-lines-of-reopened',
    text: `with found as materialized (
        select c.id, c.webhook_id, c.order_key, exists (select 1 from deliveries d
            where d.webhook_id = c.webhook_id and d.order_key = c.order_key and d.line_position is not null and d.status in ${open}) as is_open
        from line_checks c
        where not exists (select 1 from delivery_lines l where l.webhook_id = c.webhook_id and l.order_key = c.order_key)
        order by c.id limit $1),
      kept as (insert into delivery_lines (webhook_id, order_key, last_position)
        select distinct webhook_id, order_key, 0 from found where is_open order by webhook_id, order_key
        on conflict do nothing)
      delete from line_checks c using found f where c.id = f.id and not f.is_open`,
    values: [limit],
  });
}

async function countChecks(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ count: number }>({
    name: 'count-line-checks',
    text: `select count(*)::int as count from (select 1 from line_checks limit ${batchSize}) as waiting`,
  });
  return rows[0]?.count ?? 0;
}

/** Runs after the lines are locked, so that it sees all earlier commits. An expunged head cannot be sent again, so it blocks no line. */
async function readLines(db: Queryable, lines: readonly Check[]): Promise<Found[]> {
  const { rows } = await db.query<Found>({
    name: 'read-lines',
    text: `select t.webhook_id as "webhookId", t.order_key as "orderKey", case when h.expunged_at is not null and h.status = 'failed' then 'canceled' else h.status end as "headStatus",
        coalesce(h.start_after = 'line', false) as "isHeadWaiting",
        coalesce(h.ended_at is not null and h.reconcile_at is not null, false) as "isHeadStopping",
        coalesce((select w.on_failure from webhooks w where w.id = t.webhook_id and w.deleted_at is null), 'skip') as "onFailure",
        case when h.start_after is not null or h.status is null or h.status not in ${open} then (
          select d.id from deliveries d where d.webhook_id = t.webhook_id and d.order_key = t.order_key
            and d.line_position is not null and d.status in ${open}
          order by d.line_position limit 1) end as "firstId"
      from ${withHead.table} left join deliveries h on h.id = t.head_id`,
    values: withHead.values(lines),
  });
  return rows;
}

function factsOf({ headStatus, isHeadWaiting, isHeadStopping, onFailure, firstId }: Found): LineFacts {
  const head = headStatus && { status: headStatus, isWaiting: isHeadWaiting, isStopping: isHeadStopping };
  return { head, onFailure, firstId };
}

/** `left`: the lines whose step could not be made, because a row was locked. */
async function takeSteps(
  db: Queryable,
  lines: readonly Found[],
  steps: ReadonlyMap<string, LineStep>,
): Promise<{ left: Set<string>; blocking: string[] }> {
  const left = new Set<string>();
  const of = (is: LineStep['is']) => lines.filter((line) => steps.get(keyOf(line))?.is === is);
  const toAdvance = of('advance').map((line) => ({ ...line, headId: line.firstId ?? '' }));
  const freed = new Set(await freeHeads(db, toAdvance));
  for (const line of toAdvance) if (!freed.has(line.headId)) left.add(keyOf(line));
  const toBlock = of('block');
  const webhooks = new Set(await lockBlocking(db, toBlock));
  for (const line of toBlock) if (!webhooks.has(line.webhookId)) left.add(keyOf(line));
  await setHeads(
    db,
    toAdvance.filter(({ headId }) => freed.has(headId)),
  );
  const blocking = await blockLines(
    db,
    toBlock.filter(({ webhookId }) => webhooks.has(webhookId)),
  );
  await deleteLines(db, of('end'));
  return { left, blocking };
}

/** Returns the ids of those that may get an owner now. */
async function freeHeads(db: Queryable, heads: readonly { headId: string }[]): Promise<string[]> {
  if (heads.length === 0) return [];
  const { rows } = await db.query<{ id: string }>({
    name: 'free-heads',
    text: `update deliveries d set start_after = null
      from (select id from deliveries where id = any($1) for update skip locked) as free
      where d.id = free.id and d.start_after = 'line' and d.status in ${open} returning d.id`,
    values: [heads.map(({ headId }) => headId)],
  });
  return rows.map(({ id }) => id);
}

/** Webhooks that still block, locked: a change to `skip` that comes later finds the lines that are blocked now. */
async function lockBlocking(db: Queryable, lines: readonly Line[]): Promise<string[]> {
  if (lines.length === 0) return [];
  const { rows } = await db.query<{ id: string }>({
    name: 'lock-blocking-webhooks',
    text: `select id from webhooks where id = any($1) and on_failure = 'block' and deleted_at is null for share skip locked`,
    values: [[...new Set(lines.map(({ webhookId }) => webhookId))]],
  });
  return rows.map(({ id }) => id);
}

async function setHeads(db: Queryable, heads: readonly (Line & { headId: string })[]): Promise<void> {
  if (heads.length === 0) return;
  await db.query({
    name: 'set-heads',
    text: `update delivery_lines l set head_id = t.head_id, blocked_at = null from ${withHead.table}
      where l.webhook_id = t.webhook_id and l.order_key = t.order_key`,
    values: withHead.values(heads),
  });
}

/** Returns the heads of those that were not blocked before. */
async function blockLines(db: Queryable, lines: readonly Line[]): Promise<string[]> {
  if (lines.length === 0) return [];
  const { rows } = await db.query<{ headId: string }>({
    name: 'block-lines',
    text: `update delivery_lines l set blocked_at = now() from ${lineTable.table}
      where l.webhook_id = t.webhook_id and l.order_key = t.order_key and l.blocked_at is null
      returning l.head_id as "headId"`,
    values: lineTable.values(lines),
  });
  return rows.map(({ headId }) => headId);
}

async function deleteLines(db: Queryable, lines: readonly Line[]): Promise<void> {
  if (lines.length === 0) return;
  await db.query({
    name: 'delete-lines',
    text: `delete from delivery_lines l using ${lineTable.table}
      where l.webhook_id = t.webhook_id and l.order_key = t.order_key`,
    values: lineTable.values(lines),
  });
}

/** The blocked lines of a webhook are checked: it blocks no longer. */
export async function checkBlockedLines(db: Queryable, webhookId: string): Promise<void> {
  await db.query(
    `insert into line_checks (webhook_id, order_key)
     select webhook_id, order_key from delivery_lines where webhook_id = $1 and blocked_at is not null`,
    [webhookId],
  );
}
