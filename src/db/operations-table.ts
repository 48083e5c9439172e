import type {
  DeliveryAction,
  DeliverySelection,
  Operation,
  OperationAction,
} from '../contracts/operation.ts';
import type { ActionFailure, OperationStatus } from '../contracts/operation.ts';
import type { RecoveryKind } from '../contracts/recovery.ts';
import { newId } from '../domain/ids.ts';
import type { Queryable } from './pool.ts';

/** The input of a workflow. */
export type StartableOperation = {
  id: string;
  accountId: string;
  action: OperationAction;
  webhookId: string | null;
  status: OperationStatus;
};

export type ShownOperation = Omit<Operation, 'workflow'>;

export type OperationRow = StartableOperation & {
  requestedBy: string;
  isDryRun: boolean;
  perSecond: number;
  nextAttemptAt: Date | null;
  since: Date | null;
  until: Date | null;
  kind: RecoveryKind | null;
  selection: DeliverySelection | null;
  total: number;
  done: number;
  failed: number;
  failures: Partial<Record<ActionFailure, number>>;
  createdAt: Date;
  endedAt: Date | null;
  /** Its deliveries by status now; null before it has ended. */
  outcome: Operation['outcome'];
};

const operationColumns = `id, account_id as "accountId", action, webhook_id as "webhookId", status, requested_by as "requestedBy",
  dry_run as "isDryRun", per_second as "perSecond", next_attempt_at as "nextAttemptAt", since, until, kind, selection, total, done,
  failed, failures, created_at as "createdAt", ended_at as "endedAt"`;
/** Of one that has not ended. */
export const noOutcome = `null::jsonb as outcome`;
export const outcome = `case when ended_at is not null and not dry_run then (
    select jsonb_build_object('delivered', count(*) filter (where d.status = 'delivered'),
      'failed', count(*) filter (where d.status = 'failed'), 'canceled', count(*) filter (where d.status = 'canceled'),
      'waiting', count(*) filter (where d.status in ('pending', 'retrying', 'held')))
    from deliveries d where d.operation_id = operations.id) end as outcome`;

/** An operation as the API shows it, without the link to its workflow. */
export function toShown(row: OperationRow): ShownOperation {
  const { webhookId, since, until } = row;
  const window = {
    ...(webhookId === null ? {} : { webhook_id: webhookId }),
    ...(since === null ? {} : { since: since.toISOString() }),
    ...(until === null ? {} : { until: until.toISOString() }),
  };
  const failures = Object.entries(row.failures) as [ActionFailure, number][];
  return {
    id: row.id,
    action: row.action,
    status: row.status,
    dry_run: row.isDryRun,
    filter: row.selection ?? window,
    only: row.kind,
    per_second: row.perSecond,
    next_attempt_at: row.nextAttemptAt?.toISOString() ?? null,
    total: row.total,
    done: row.done,
    failed: row.failed,
    failures: failures
      .map(([reason, count]) => ({ reason, count }))
      .toSorted((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1)),
    outcome: row.outcome,
    requested_by: row.requestedBy,
    created_at: row.createdAt.toISOString(),
    ended_at: row.endedAt?.toISOString() ?? null,
  };
}

export async function findOperation(db: Queryable, accountId: string, id: string) {
  const { rows } = await db.query<OperationRow>(
    `select ${operationColumns}, ${outcome} from operations where id = $1 and account_id = $2`,
    [id, accountId],
  );
  return rows[0] ?? null;
}

type OperationsPage = {
  /** Only those of this webhook. */
  webhookId: string | undefined;
  /** The last one of the previous page. */
  before: { createdAt: string; id: string } | null;
  limit: number;
};

/** Without dry runs, newest first. */
export async function listOperations(
  db: Queryable,
  accountId: string,
  { webhookId, before, limit }: OperationsPage,
): Promise<OperationRow[]> {
  const values = [accountId, before?.createdAt ?? null, before?.id ?? null, limit];
  const { rows } = await db.query<OperationRow>(
    `select ${operationColumns}, ${noOutcome} from operations
     where account_id = $1 and not dry_run and ($2::timestamptz is null or (created_at, id) < ($2, $3))
       ${webhookId === undefined ? '' : 'and webhook_id = $5'}
     order by created_at desc, id desc limit $4`,
    webhookId === undefined ? values : [...values, webhookId],
  );
  return rows;
}

export type NewOperation = {
  accountId: string;
  action: DeliveryAction;
  webhookId: string | null;
  requestedBy: string;
  isDryRun: boolean;
  perSecond: number;
  nextAttemptAt: Date | null;
  /** When its deliveries were accepted; null: at any time. */
  since: Date | null;
  until: Date | null;
  selection: DeliverySelection;
  total: number;
  createdAt: Date;
};

/** A dry run is completed at once. */
export async function insertOperation(db: Queryable, operation: NewOperation): Promise<OperationRow> {
  const { rows } = await db.query<OperationRow>(
    `insert into operations (id, account_id, action, webhook_id, requested_by, status, dry_run, per_second, next_attempt_at, since,
       until, selection, total, created_at, ended_at, check_at)
     values ($1, $2, $3, $4, $5, case when $6 then 'completed' else 'running' end, $6, $7, $8, $9, $10, $11, $12, $13,
       case when $6 then $13::timestamptz end, case when not $6 then now() + interval '10 seconds' end)
     returning ${operationColumns}, ${noOutcome}`,
    [
      newId('op'),
      operation.accountId,
      operation.action,
      operation.webhookId,
      operation.requestedBy,
      operation.isDryRun,
      operation.perSecond,
      operation.nextAttemptAt,
      operation.since,
      operation.until,
      operation.selection,
      operation.total,
      operation.createdAt,
    ],
  );
  return rows[0] as OperationRow;
}

/** Sets the progress that the workflow reports, unless the operation has ended. */
export async function setOperationStatus(db: Queryable, id: string, status: 'running' | 'paused') {
  await db.query(`update operations set status = $2 where id = $1 and status in ('running', 'paused')`, [
    id,
    status,
  ]);
}

/**
 * Ends an operation once. Deliveries that a recovery did not send because its webhook was deleted count as failed, as do those
 * that had changed before an action reached them.
 */
export async function endOperation(db: Queryable, id: string, status: 'completed' | 'canceled') {
  await db.query(
    `update operations o set status = $2, ended_at = date_trunc('milliseconds', clock_timestamp()), check_at = null, page = null,
       failed = o.failed + rest.count,
       failures = case when rest.count = 0 then o.failures
         else o.failures || jsonb_build_object(rest.reason, rest.count + coalesce((o.failures ->> rest.reason)::int, 0)) end
     from (
       select id, case when action = 'recover' then 'webhook_deleted' else 'changed' end as reason,
         case when case when action = 'recover'
             then exists (select 1 from webhooks w where w.id = webhook_id and w.deleted_at is not null)
             else $2 = 'completed' end
           then greatest(0, total - done - failed) else 0 end as count
       from operations where id = $1) as rest
     where o.id = rest.id and o.status in ('running', 'paused')`,
    [id, status],
  );
}

/** Counts a page once, however often it ran. */
export async function finishPage(
  db: Queryable,
  { id, pageNumber }: { id: string; pageNumber: number },
  { done, failures }: { done: number; failures: ReadonlyMap<ActionFailure, number> },
): Promise<void> {
  await db.query(
    `update operations set page = null, done = done + $3, failed = failed + $4,
       total = greatest(total, done + $3 + failed + $4),
       failures = (select coalesce(jsonb_object_agg(reason, count), '{}') from (
         select key as reason, sum(value::int) as count
         from (select * from jsonb_each_text(failures) union all select * from jsonb_each_text($5::jsonb)) as each
         group by key) as added)
     where id = $1 and page_number = $2 and page is not null`,
    [
      id,
      pageNumber,
      done,
      [...failures.values()].reduce((sum, count) => sum + count, 0),
      Object.fromEntries(failures),
    ],
  );
}

/** `mustEnd`: its account or webhook is being deleted. */
export type OperationToCheck = StartableOperation & { mustEnd: boolean };

const mustEnd = `(exists (select 1 from accounts a where a.id = o.account_id and a.deletion_requested_at is not null)
  or (o.action = 'recover' and exists (select 1 from webhooks w where w.id = o.webhook_id and w.deleted_at is not null)))
  as "mustEnd"`;

/** Claims operations whose workflow may not run, for 30 seconds, so that several processes share the work. */
export async function claimOperations(db: Queryable, limit: number): Promise<OperationToCheck[]> {
  const { rows } = await db.query<OperationToCheck>(
    `update operations o set check_at = now() + interval '30 seconds'
     from (select id from operations where check_at <= now() order by check_at limit $1 for update skip locked) as due
     where o.id = due.id
     returning o.id, o.account_id as "accountId", o.action, o.webhook_id as "webhookId", o.status, ${mustEnd}`,
    [limit],
  );
  return rows;
}

export async function setOperationCheck(db: Queryable, id: string, seconds: number): Promise<void> {
  await db.query(
    `update operations set check_at = now() + make_interval(secs => $2)
     where id = $1 and status in ('running', 'paused')`,
    [id, seconds],
  );
}

/** The facts that the next step of an operation depends on. */
export type OperationToRun = StartableOperation & {
  requestedBy: string;
  perSecond: number;
  nextAttemptAt: Date | null;
  since: Date | null;
  until: Date | null;
  selection: DeliverySelection | null;
  cursorId: string | null;
  pageNumber: number;
  page: unknown[] | null;
  mustEnd: boolean;
};

export async function loadOperation(db: Queryable, id: string): Promise<OperationToRun | null> {
  const { rows } = await db.query<OperationToRun>(
    `select o.id, o.account_id as "accountId", o.action, o.webhook_id as "webhookId", o.status, o.requested_by as "requestedBy",
       o.per_second as "perSecond", o.next_attempt_at as "nextAttemptAt", o.since, o.until, o.selection,
       o.cursor_id as "cursorId", o.page_number as "pageNumber", o.page, ${mustEnd}
     from operations o where o.id = $1`,
    [id],
  );
  return rows[0] ?? null;
}
