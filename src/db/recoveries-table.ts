import { newId } from '../domain/ids.ts';
import { defaultPerSecond } from '../contracts/operation.ts';
import type { WebhookFilter } from '../contracts/filter.ts';
import type { Recovery, RecoveryKind, RecoveryStatus } from '../contracts/recovery.ts';
import { noOutcome, outcome } from './operations-table.ts';
import type { Queryable } from './pool.ts';

export type RecoveryRow = {
  id: string;
  accountId: string;
  webhookId: string;
  status: RecoveryStatus;
  isDryRun: boolean;
  total: number;
  done: number;
  failed: number;
  since: Date;
  until: Date;
  kind: RecoveryKind | null;
  createdAt: Date;
  endedAt: Date | null;
  /** Its deliveries by status now; null before it has ended. */
  outcome: Recovery['outcome'];
};

export const recoveryColumns = `id, account_id as "accountId", webhook_id as "webhookId", status, dry_run as "isDryRun", total, done, failed,
  since, until, kind, created_at as "createdAt", ended_at as "endedAt"`;
export function toRecovery(row: RecoveryRow): Recovery {
  return {
    id: row.id,
    webhook_id: row.webhookId,
    status: row.status,
    dry_run: row.isDryRun,
    total: row.total,
    done: row.done,
    failed: row.failed,
    outcome: row.outcome,
    since: row.since.toISOString(),
    until: row.until.toISOString(),
    only: row.kind,
    created_at: row.createdAt.toISOString(),
    ended_at: row.endedAt?.toISOString() ?? null,
  };
}

/** The database's time: one clock for the acceptance of events and the request of a recovery. */
export async function readClock(db: Queryable): Promise<Date> {
  const { rows } = await db.query<{ now: Date }>(
    `select date_trunc('milliseconds', clock_timestamp()) as now`,
  );
  return rows[0]?.now ?? new Date();
}

export async function findRecovery(db: Queryable, accountId: string, id: string) {
  const { rows } = await db.query<RecoveryRow>(
    `select ${recoveryColumns}, ${outcome} from operations where id = $1 and account_id = $2 and action = 'recover'`,
    [id, accountId],
  );
  return rows[0] ?? null;
}

type Call = Pick<RecoveryRow, 'webhookId' | 'since' | 'kind'> & { requestedUntil: Date | null };

/** The recovery of the same call, if it has not ended. */
export async function findUnderWay(db: Queryable, call: Call): Promise<RecoveryRow | null> {
  const { rows } = await db.query<RecoveryRow>(
    `select ${recoveryColumns}, ${noOutcome} from operations
     where action = 'recover' and webhook_id = $1 and since = $2 and requested_until is not distinct from $3 and kind is not distinct from $4
       and status in ('running', 'paused')`,
    [call.webhookId, call.since, call.requestedUntil, call.kind],
  );
  return rows[0] ?? null;
}

export type NewRecovery = Call &
  Pick<RecoveryRow, 'accountId' | 'isDryRun' | 'until' | 'total' | 'createdAt'> & {
    requestedBy: string;
    filters: readonly string[];
    filter: WebhookFilter | null;
  };

/** A dry run is completed at once. Null: a recovery of the same call has not ended. */
export async function insertRecovery(db: Queryable, recovery: NewRecovery): Promise<RecoveryRow | null> {
  const { rows } = await db.query<RecoveryRow>(
    `insert into operations (id, account_id, action, per_second, webhook_id, requested_by, status, dry_run, since, until, requested_until, kind, filters, filter,
       total, created_at, ended_at, check_at)
     values ($1, $2, 'recover', ${defaultPerSecond}, $3, $4, case when $5 then 'completed' else 'running' end, $5, $6, $7, $8, $9, $10, $11, $12, $13,
       case when $5 then $13::timestamptz end, case when not $5 then now() + interval '10 seconds' end)
     on conflict do nothing returning ${recoveryColumns}, ${noOutcome}`,
    [
      newId('rec'),
      recovery.accountId,
      recovery.webhookId,
      recovery.requestedBy,
      recovery.isDryRun,
      recovery.since,
      recovery.until,
      recovery.requestedUntil,
      recovery.kind,
      recovery.filters,
      recovery.filter,
      recovery.total,
      recovery.createdAt,
    ],
  );
  return rows[0] ?? null;
}
