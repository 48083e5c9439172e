import type { Queryable } from './pool.ts';

/** Which workflow carries a delivery is settled once, by whoever is first; whoever is second leaves it alone. */
type Settlement = { id: string; workflowId: string };

/** Settles deliveries that no workflow carries yet and that wait; answers the ids of those that it settled. */
export async function settleCarriers(db: Queryable, settlements: readonly Settlement[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({
    name: 'settle-carriers',
    // From here on the sweep looks after it, for nobody may start it after all; what was claimed keeps its later time. What the
    // planner may see of the condition makes it read all that waits, for it takes that for next to nothing; behind `case` it
    // sees none of it.
    text: `update deliveries d set workflow_id = s.workflow_id,
        check_at = greatest(d.check_at, now() + interval '10 seconds')
      from unnest($1::text[], $2::text[]) as s(id, workflow_id)
      where d.id = s.id and case when d.workflow_id is null and d.status = 'pending' then true else false end
      returning d.id`,
    values: [settlements.map(({ id }) => id), settlements.map(({ workflowId }) => workflowId)],
  });
  return rows.map(({ id }) => id);
}

/** What a group that has ended did not attempt is nobody's again. Only once the group has ended. */
export async function releaseFromGroup(
  db: Queryable,
  ids: readonly string[],
  groupId: string,
): Promise<void> {
  await db.query(
    `update deliveries set workflow_id = null, run_id = null
     where id = any($1) and workflow_id = $2 and status in ('pending', 'held')`,
    [ids, groupId],
  );
}

/** A group's deliveries go on in workflows of their own, which run. */
export async function markHandedOver(
  db: Queryable,
  groupId: string,
  runs: readonly { deliveryId: string; runId: string }[],
): Promise<void> {
  await db.query({
    name: 'mark-handed-over',
    text: `update deliveries d set workflow_id = d.id, run_id = r.run_id,
        check_at = case when d.status = 'pending' and d.next_attempt_at is null then now() + interval '5 minutes'
          else d.check_at end
      from unnest($2::text[], $3::text[]) as r(id, run_id)
      where d.id = r.id and case when d.workflow_id = $1 or d.run_id is null then true else false end`,
    values: [groupId, runs.map(({ deliveryId }) => deliveryId), runs.map(({ runId }) => runId)],
  });
}
