import { outboxLocks } from './outbox-schema.ts';
import { onlyRow, type Queryable } from './pool.ts';

/** A row of `fltr_outbox.events`. `request`: as a call of `POST /v1/events`; null: it is larger than such a call may be. */
export type OutboxRow = {
  transactionId: string;
  n: string;
  id: string;
  bytes: number;
  request: string | null;
  publishedAt: Date;
};

export type OutboxPage = {
  rows: OutboxRow[];
  /** Of the first row; 0 where there is none. */
  lagSeconds: number;
  /** The oldest transaction that was open. */
  oldestOpen: string;
};

type PageOptions = {
  /** Rows of older transactions are not looked at. */
  floor: string;
  maxRows: number;
  /** Of one row, and of all together; the first row is read in any case. */
  maxRowBytes: number;
  maxBytes: number;
};

/** The next rows: those of transactions that follow each other are in their order. */
export async function readOutbox(
  db: Queryable,
  { floor, maxRows, maxRowBytes, maxBytes }: PageOptions,
): Promise<OutboxPage> {
  type Row = Omit<OutboxRow, 'n'> & { n: string | null; lagSeconds: number; oldestOpen: string };
  const { rows } = await db.query<Row>(
    `select page.transaction_id::text as "transactionId", page.n::text, page.id, page.bytes,
       case when page.bytes <= $3 then page.request::text end as request, page.published_at as "publishedAt",
       coalesce(extract(epoch from clock_timestamp() - page.published_at), 0)::float8 as "lagSeconds",
       pg_snapshot_xmin(pg_current_snapshot())::text as "oldestOpen"
     from (values (1)) one left join (
       select *, sum(least(bytes, $3)) over (order by transaction_id, n) as total from (
         select * from fltr_outbox.events where transaction_id >= $1::xid8 order by transaction_id, n limit $2
       ) found
     ) page on page.total - least(page.bytes, $3) < $4
     order by page.transaction_id, page.n`,
    [floor, maxRows, maxRowBytes, maxBytes],
  );
  const found = rows.filter((row): row is Row & { n: string } => row.n !== null);
  return {
    rows: found,
    lagSeconds: Math.max(0, found[0]?.lagSeconds ?? 0),
    oldestOpen: onlyRow(rows.slice(0, 1), 'read-outbox').oldestOpen,
  };
}

/** Removes rows; one with a problem goes to `fltr_outbox.refused`. */
export async function removeFromOutbox(
  db: Queryable,
  done: readonly { row: OutboxRow; problem: unknown }[],
): Promise<void> {
  await db.query(
    `with gone as (
       delete from fltr_outbox.events e
       using unnest($1::xid8[], $2::bigint[], $3::text[]) as given(transaction_id, n, problem)
       where (e.transaction_id, e.n) = (given.transaction_id, given.n)
       returning e.*, given.problem
     )
     insert into fltr_outbox.refused (id, request, bytes, published_at, problem)
     select id, request, bytes, published_at, problem::json from gone where problem is not null order by transaction_id, n`,
    [
      done.map(({ row }) => row.transactionId),
      done.map(({ row }) => row.n),
      done.map(({ problem }) => (problem === null ? null : JSON.stringify(problem))),
    ],
  );
}

/** The rows of its tables, each counted up to a limit. */
export type OutboxRows = { waiting: number; refused: number };

/** So that a long queue delays the relay by milliseconds only. */
const mostCounted = 100_000;

export async function countOutboxRows(db: Queryable): Promise<OutboxRows> {
  const countOf = (table: string): string =>
    `(select count(*)::int from (select 1 from fltr_outbox.${table} limit ${mostCounted}) found)`;
  const { rows } = await db.query<OutboxRows>(
    `select ${countOf('events')} as waiting, ${countOf('refused')} as refused`,
  );
  return onlyRow(rows, 'count-outbox-rows');
}

export type OutboxStatus = {
  waiting: number;
  oldestSeconds: number;
  refused: number;
  /** Whether a relay holds the lock; one behind a pooler holds it for moments only. */
  isRelayed: boolean;
};

export async function readOutboxStatus(db: Queryable): Promise<OutboxStatus> {
  const { rows } = await db.query<OutboxStatus>(
    `select e.waiting, e."oldestSeconds", (select count(*) from fltr_outbox.refused)::int as refused,
       exists (
         select from pg_locks where locktype = 'advisory' and (classid, objid) = (${outboxLocks.relay}) and objsubid = 2 and granted
           and database = (select oid from pg_database where datname = current_database())
       ) as "isRelayed"
     from (
       select count(*)::int as waiting, coalesce(extract(epoch from clock_timestamp() - min(published_at)), 0)::float8 as "oldestSeconds"
       from fltr_outbox.events
     ) e`,
  );
  return onlyRow(rows, 'outbox-status');
}

/** Puts refused events back, all or those with an id; returns how many. */
export async function retryRefused(db: Queryable, ids: readonly string[] | null): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `with again as (
       delete from fltr_outbox.refused where $1::text[] is null or id = any($1) returning *
     ),
     inserted as (
       insert into fltr_outbox.events (id, request, bytes) select id, request, bytes from again order by n returning 1
     )
     select count(*)::int as count from inserted`,
    [ids],
  );
  return onlyRow(rows, 'retry-refused').count;
}

/** Refused events, the newest ones first. */
export async function listRefused(db: Queryable, limit: number) {
  const { rows } = await db.query<{
    id: string;
    event: string;
    account: string;
    refusedAt: Date;
    problem: string;
  }>(
    `select id, request ->> 'event' as event, request ->> 'account_id' as account, refused_at as "refusedAt",
       problem ->> 'detail' as problem
     from fltr_outbox.refused order by n desc limit $1`,
    [limit],
  );
  return rows;
}
