import { withTransaction, type Pool, type Queryable } from './pool.ts';
import { checkQueue } from './queue-checks.ts';

/**
 * A webhook's state decides the state of its deliveries:
 *
 *   webhook     waiting deliveries         held deliveries
 *   active      –                          become pending, or are canceled where that was requested
 *   not active  become held                –
 *   deleted     are canceled               are canceled
 *
 * A change of a webhook sets its `sync_at` and `sync_until` in the same transaction, and calls `syncDeliveries` after it. The
 * reconciler does the rest. Each step locks the webhook's row, so that its state stays the same meanwhile. It skips locked
 * deliveries and returns to them later.
 */
const stepSize = 1000;

/**
 * A statement that publishes uses the state of the webhook at its beginning and takes no lock, because a change that hangs must
 * not delay events. So after a change its deliveries are synced again every 2 s for longer than any statement or idle
 * transaction lasts (60 s, `pool.ts`).
 */
export const syncUntil = `now() + interval '70 seconds'`;

/** How many rows a call changes itself, which takes less than a second; the reconciler changes the others. */
const maxInCall = 5000;

const entry = (type: string, more = `'{}'`) => `timeline_entry('${type}', clock_timestamp(), ${more})`;

/** The index of each kind of waiting deliveries has it as its condition. */
const conditions = {
  pending: `status = 'pending' and start_after is null`,
  forLater: `status = 'pending' and start_after = 'deliver_at'`,
  inOrder: `status = 'pending' and start_after = 'line'`,
  retrying: `status = 'retrying'`,
  held: `status = 'held'`,
};
type Kind = keyof typeof conditions;
type Step = { kinds: readonly Kind[]; change: string };

/** The reconciler stops the workflow of each, where there is one. */
const hold: Step = {
  kinds: ['pending', 'forLater', 'inOrder', 'retrying'],
  change: `status = 'held', next_attempt_at = null, wait_reason = null, deferred_at = null,
    held_until = hold_until_after(d.deliver_at),
    reconcile_at = case when d.owner_id is not null then now() else hold_until_after(d.deliver_at) end,
    timeline = d.timeline || ${entry('held')}`,
};
/** The dispatcher assigns an owner to those without one, oldest first; the reconciler wakes the workflows of the others. */
const release: Step = {
  kinds: ['held'],
  change: `status = 'pending', held_until = null,
    reconcile_at = case when d.owner_id is not null then now() end,
    timeline = d.timeline || ${entry('released')}`,
};
const cancel = (kinds: readonly Kind[], reason: string): Step => ({
  kinds,
  change: `status = 'canceled', reason = '${reason}', next_attempt_at = null, wait_reason = null, held_until = null,
    ended_at = date_trunc('milliseconds', clock_timestamp()),
    reconcile_at = case when d.owner_id is not null then now() end,
    timeline = d.timeline || ${entry('ended', `'{"status": "canceled", "reason": "${reason}"}'`)}`,
});

type State = { active: boolean; isDeleted: boolean; heldAction: 'deliver' | 'discard' };

function stepOf({ active, isDeleted, heldAction }: State): Step {
  if (isDeleted) return cancel(['pending', 'forLater', 'inOrder', 'retrying', 'held'], 'webhook_deleted');
  if (!active) return hold;
  return heldAction === 'discard' ? cancel(['held'], 'discarded') : release;
}

/**
 * Makes a webhook's deliveries agree with its state, oldest first.
 *
 * @param most the maximum of rows
 * @returns how many rows were changed, and whether that was all
 */
export async function syncDeliveries(pool: Pool, webhookId: string, most = maxInCall) {
  let changed = 0;
  while (changed < most) {
    const step = await withTransaction(pool, (client) => syncStep(client, webhookId));
    changed += step.changed;
    if (step.isDone) return { changed, isDone: true };
    // The others are locked: the reconciler returns to them a little later.
    if (step.changed === 0) break;
  }
  return { changed, isDone: false };
}

async function syncStep(db: Queryable, webhookId: string) {
  const { rows } = await db.query<State>(
    `select active, deleted_at is not null as "isDeleted", held_action as "heldAction" from webhooks
     where id = $1 for update`,
    [webhookId],
  );
  const [state] = rows;
  if (!state) return { changed: 0, isDone: true };
  const { kinds, change } = stepOf(state);
  let changed = 0;
  let isDone = true;
  for (const kind of kinds) {
    const condition = conditions[kind];
    // The condition is that of an index, and rows are found before they are sorted, so that the index is used.
    const { rowCount } = await db.query(
      `with found as materialized (select id from deliveries where webhook_id = $1 and ${condition}),
       chosen as (select id from deliveries
         where id = any(array(select id from found order by id limit $2)) and ${condition}
         for update skip locked)
       update deliveries d set ${change} from chosen where d.id = chosen.id`,
      [webhookId, stepSize],
    );
    changed += rowCount ?? 0;
    const left = await db.query(`select 1 from deliveries where webhook_id = $1 and ${condition} limit 1`, [
      webhookId,
    ]);
    if (left.rowCount !== 0) isDone = false;
  }
  if (changed > 0) await checkQueue(db, webhookId);
  if (!isDone && changed > 0) return { changed, isDone };
  await db.query(
    `update webhooks set sync_at = case when not $2 then now() + interval '1 second'
         when sync_until > now() then now() + interval '2 seconds' end,
       held_action = case when $2 then 'deliver' else held_action end
     where id = $1`,
    [webhookId, isDone],
  );
  return { changed, isDone };
}

/** The next webhooks whose deliveries are to be synced; claimed for a while, so that several processes share the work. */
export async function claimWebhooksToSync(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `update webhooks w set sync_at = now() + interval '30 seconds'
     from (select id from webhooks where sync_at <= now() order by sync_at limit $1 for update skip locked) as due
     where w.id = due.id returning w.id`,
    [limit],
  );
  return rows.map(({ id }) => id);
}
