import { idFloor } from '../../src/domain/ids.ts';
import { stepCount, stepOf } from '../../src/domain/response-times.ts';
import type { Service } from './service.ts';

type Past = {
  accountId: string;
  webhookId: string;
  count: number;
  /** Over how long before now, evenly. */
  minutes?: number;
  /** Every so many-th one was refused with a 404; 0: none. */
  failedEvery?: number;
};

const types = ['document.uploaded', 'document.processed', 'document.deleted', 'dataset.updated'];

/** Deliveries that ended in the past, with their events, attempts and the statistics of them. */
export async function insertPast(
  { pool }: Pick<Service, 'pool'>,
  { accountId, webhookId, count, minutes = 24 * 60, failedEvery = 0 }: Past,
): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => {
    const at = new Date(Date.now() - ((count - index) * minutes * 60_000) / (count + 1));
    const tail = `${webhookId.slice(-4)}${String(index).padStart(12, '0')}`;
    const id = (prefix: 'evt' | 'dlv' | 'att') => idFloor(prefix, at).slice(0, -16) + tail;
    const isFailed = failedEvery > 0 && index % failedEvery === 0;
    return {
      at,
      type: types[index % types.length],
      status: isFailed ? 'failed' : 'delivered',
      code: isFailed ? 404 : 200,
      ms: 20 + ((index * 37) % 180),
      event: id('evt'),
      delivery: id('dlv'),
      attempt: id('att'),
    };
  });
  const values = [accountId, webhookId, JSON.stringify(rows)];
  const given = `json_to_recordset($3) as r(at timestamptz, type text, status text, code int, ms int, event text, delivery text, attempt text)`;
  await pool.query(
    `with made as (
       insert into events (account_id, id, type, "timestamp", body, created_at)
       select $1, event, type, to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
         convert_to(json_build_object('id', event, 'event', type, 'data', json_build_object('document_id', 'doc_abc123'))::text, 'UTF8'), at
       from ${given}),
     tried as (
       insert into attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code, response_headers, response_body, webhook_id, url, format, body_bytes)
       select attempt, delivery, 1, at, ms, code, status, case status when 'failed' then 'client_error' end,
         '{"content-type": "application/json"}', convert_to('{"received":true}', 'UTF8'), $2,
         (select url from webhooks where id = $2), 'fltr', 100
       from ${given})
     insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, reason, created_at, ended_at, attempt_count,
       last_status_code, last_error_code)
     select delivery, $1, $2, event, type, status, case status when 'failed' then 'client_error' end, at,
       at + ms * interval '1 millisecond', 1, code, case status when 'failed' then 'client_error' end
     from ${given}`,
    values,
  );
  const minutely = new Map<number, { attempts: number; failed: number; durations: number[] }>();
  for (const { at, ms, status } of rows) {
    const minute = Math.floor(at.getTime() / 60_000) * 60_000;
    const stats = minutely.get(minute) ?? {
      attempts: 0,
      failed: 0,
      durations: Array<number>(stepCount).fill(0),
    };
    stats.attempts += 1;
    stats.failed += status === 'failed' ? 1 : 0;
    stats.durations[stepOf(ms)] = (stats.durations[stepOf(ms)] ?? 0) + 1;
    minutely.set(minute, stats);
  }
  await pool.query(
    `insert into webhook_stats (webhook_id, minute, activation, attempts, delivered, failed, durations)
     select $1, minute, 0, attempts, attempts - failed, failed, durations
     from json_to_recordset($2) as r(minute timestamptz, attempts int, failed int, durations int[])`,
    [
      webhookId,
      JSON.stringify([...minutely].map(([minute, stats]) => ({ minute: new Date(minute), ...stats }))),
    ],
  );
  await pool.query(
    `insert into event_type_stats as s (account_id, hour, event_type, part, attempts, delivered, failed)
     select $1, date_trunc('hour', at), type, 0, count(*), count(*) filter (where status = 'delivered'),
       count(*) filter (where status = 'failed')
     from json_to_recordset($2) as r(at timestamptz, type text, status text) group by 2, 3
     on conflict (account_id, hour, event_type, part) do update set attempts = s.attempts + excluded.attempts,
       delivered = s.delivered + excluded.delivered, failed = s.failed + excluded.failed`,
    [accountId, JSON.stringify(rows)],
  );
}
