import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { asAdmin } from '../kit/database.ts';
import { openClient } from '../kit/database-client.ts';
import { acceptKeyed, firstAttempts, startOrderedReceiver, type OrderedReceiver } from '../kit/ordered.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

/**
 * Deliveries of ordered lines that expire, while processes are killed and connections are cut. Of four events of a key, the
 * first one fails until it expires as the head, and the second one expires while it waits behind it.
 */
const keys = ['a', 'b', 'c'];
const groups = 4;
const groupEveryMs = 2500;
const isHead = (number: number) => number % 4 === 1;
const isBehind = (number: number) => number % 4 === 2;

let service: Service;
/** It is not cut off. */
let db: pg.Client;
let receiver: OrderedReceiver;
let alerts: Receiver;
let processes: { child: ServiceProcess; port: number }[];
beforeEach(async () => {
  processes = [];
  service = await startService(
    {
      LOG_LEVEL: 'warn',
      FLTR_DELIVERIES_PER_HOUR: '0',
      FLTR_RETRY_SCHEDULE_SECONDS: '1,1,1,1,1,1,1,1,1,600',
    },
    null,
  );
  db = await openClient(service.databaseUrl);
  receiver = await startOrderedReceiver(({ number }, response) => {
    setTimeout(() => response.writeHead(isHead(number) ? 503 : 200).end(), 20);
  });
  alerts = await startReceiver();
});
afterEach(async () => {
  for (const { child } of processes) child.kill('SIGKILL');
  await Promise.all(processes.map(({ child }) => child.exited()));
  await db.end();
  await service.stop();
  await receiver.close();
  await alerts.close();
});

async function start(port: number): Promise<void> {
  const child = startProcess(['up'], { ...service.env, PORT: String(port) });
  processes.push({ child, port });
  await untilReady(`http://127.0.0.1:${port}`, child);
}

/** At a process that runs. */
const ask = (method: string, path: string, body?: unknown) =>
  call<Record<string, string>>(
    `http://127.0.0.1:${processes.at(-1)?.port}`,
    service.key,
    method,
    path,
    body,
  ).catch(() => null);

async function create(body: object): Promise<void> {
  const created = await ask('POST', '/v1/webhooks', body);
  if (created?.status !== 201) throw new Error(created?.text ?? 'no response');
}

async function publish(): Promise<void> {
  for (let group = 0; group < groups; group += 1) {
    const inMs = (ms: number) => new Date(Date.now() + ms);
    const expiryOf = (number: number) =>
      isHead(number) ? inMs(groupEveryMs * 2) : isBehind(number) ? inMs(groupEveryMs) : undefined;
    const numbers = [1, 2, 3, 4].map((number) => group * 4 + number);
    await acceptKeyed(
      { pool: db, accountId: service.accountId },
      numbers.flatMap((number) => keys.map((key) => ({ key, number, expiresAt: expiryOf(number) }))),
    );
    await delay(groupEveryMs);
  }
}

/** Cuts the connections of all processes, and kills each in turn. Not while one starts: without its database it would end. */
async function disturb(): Promise<void> {
  const name = new URL(service.databaseUrl).pathname.slice(1);
  const cut = `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and application_name like 'fltr-webhooks%'`;
  for (let round = 0; round < 4; round += 1) {
    for (let count = 0; count < 2; count += 1) {
      await delay(500);
      await asAdmin(cut);
    }
    const [oldest] = processes.splice(0, 1);
    oldest?.child.kill('SIGKILL');
    await oldest?.child.exited();
    await start(oldest?.port ?? 0);
  }
}

type Row = {
  id: string;
  key: string;
  number: number;
  status: string;
  reason: string | null;
  attempts: number;
  ends: number;
  events: number;
};

/** `events`: those that say that it has failed. */
async function readRows(): Promise<Row[]> {
  const { rows } = await db.query<Row>(
    `select d.id, d.order_key as key, (convert_from(e.body, 'utf8')::json -> 'data' ->> 'dataset_id')::int as number, d.status,
       d.reason, d.attempt_count as attempts,
       (select count(*)::int from jsonb_array_elements(d.timeline) entry where entry ->> 'type' = 'ended') as ends,
       (select count(*)::int from events f where f.type = 'delivery.failed' and f.id like 'evt\\_failed\\_' || d.id || '\\_%') as events
     from deliveries d join events e on (e.account_id, e.id) = (d.account_id, d.event_id)
     where d.order_key is not null order by d.line_position`,
  );
  return rows;
}

/** All have ended, and no line is left. */
const untilEnded = () =>
  until(
    async () => {
      const rows = await readRows();
      const left = await db.query('select from delivery_lines union all select from line_checks');
      return { open: rows.filter(({ ends }) => ends === 0).length, left: left.rowCount, all: rows.length };
    },
    ({ open, left, all }) => open === 0 && left === 0 && all === keys.length * groups * 4,
  );

function checkOrder(rows: readonly Row[]): void {
  expect(receiver.overlaps).toEqual([]);
  for (const key of keys) {
    const made = firstAttempts(receiver, key);
    expect(made).toEqual(made.toSorted((a, b) => a - b));
    // Which of a group's second ones are sent in time is not certain.
    const sent = rows.filter((row) => row.key === key && row.attempts > 0).map(({ number }) => number);
    expect(made).toEqual(expect.arrayContaining(sent));
  }
  for (const row of rows.filter(({ number }) => !isHead(number) && !isBehind(number)))
    expect(row).toMatchObject({ status: 'delivered', attempts: 1, ends: 1, events: 0 });
}

async function startAll(onFailure: 'skip' | 'block'): Promise<void> {
  for (const port of [await reservePort(), await reservePort()]) await start(port);
  // Of each key a webhook of its own: the first ten failures of a webhook in a minute are an event each.
  for (const key of keys) {
    const filter = { all: [{ path: '/data/document_id', op: 'eq', value: key }] };
    await create({
      url: receiver.url,
      events: ['document.*'],
      ordering: 'by_key',
      on_failure: onFailure,
      filter,
    });
  }
  await create({ url: alerts.url, events: ['delivery.failed'] });
}

test('heads and waiting deliveries expire once each, and the next one follows in order', async () => {
  await startAll('skip');
  await Promise.all([publish(), disturb()]);
  await untilEnded();
  const rows = await readRows();
  checkOrder(rows);
  const expired = { status: 'failed', reason: 'expired', ends: 1, events: 1 };
  for (const row of rows.filter(({ number }) => isHead(number))) expect(row).toMatchObject(expired);
  const behind = rows.filter(({ number }) => isBehind(number));
  for (const row of behind)
    expect(row).toMatchObject(
      row.status === 'delivered' ? { ends: 1, events: 0 } : { ...expired, attempts: 0 },
    );
  expect(behind.filter(({ status }) => status === 'failed').length).toBeGreaterThan(0);
  expect(rows.filter(({ number, attempts }) => isHead(number) && attempts > 0).length).toBeGreaterThan(0);
}, 180_000);

/** Cancels deliveries that block their line, until it is stopped. `canceled`: the ids of all for which it was requested. */
function cancelBlocking() {
  const canceled = new Set<string>();
  const stopping = new AbortController();
  const cancelAll = async (): Promise<void> => {
    const { rows } = await db.query<{ id: string }>(
      `select d.id from delivery_lines l join deliveries d on d.id = l.head_id where l.blocked_at is not null and d.status = 'failed'`,
    );
    for (const { id } of rows) {
      const retried = await ask('POST', `/v1/deliveries/${id}/retry`);
      expect([409, 503, undefined]).toContain(retried?.status);
      canceled.add(id);
      await ask('POST', `/v1/deliveries/${id}/cancel`);
    }
  };
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await cancelAll();
      await delay(200);
    }
  })();
  return {
    canceled,
    async stop(): Promise<void> {
      stopping.abort();
      await running;
    },
  };
}

test('with block, a head that expires blocks its line until it is canceled; a delivery that expires behind it does not', async () => {
  await startAll('block');
  const canceling = cancelBlocking();
  await Promise.all([publish(), disturb()]);
  await untilEnded();
  await canceling.stop();
  const rows = await readRows();
  checkOrder(rows);
  const { canceled } = canceling;
  for (const { id, number, status, reason, attempts, events } of rows) {
    const isBlocking = canceled.has(id);
    if (isHead(number) && attempts > 0) expect([id, isBlocking]).toEqual([id, true]);
    if (status !== 'delivered')
      expect([id, reason, events]).toEqual([id, isBlocking ? 'canceled' : 'expired', 1]);
  }
  expect(canceled.size).toBeGreaterThan(0);
  expect(
    rows.filter(({ number, reason }) => isBehind(number) && reason === 'expired').length,
  ).toBeGreaterThan(0);
}, 180_000);
