import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { windowMs } from '../../src/domain/hourly-cap.ts';
import { startProcess } from '../kit/process.ts';
import { openAccount, type Account } from '../kit/recoveries.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';

/** An account's own limit of deliveries an hour is as exact as the setting, and replaces it in both directions. */
let uncapped: Service;
let capped: Service;
let operators: Map<Service, string>;
const setting = 5;
beforeAll(async () => {
  [uncapped, capped] = await Promise.all([
    startService({ FLTR_DELIVERIES_PER_HOUR: '0' }),
    startService({ FLTR_DELIVERIES_PER_HOUR: String(setting) }),
  ]);
  const keys = [uncapped, capped].map(async (service) => {
    const key = await service.newKey({ accountId: null, scopes: ['accounts:write'] });
    return [service, key] as const;
  });
  operators = new Map(await Promise.all(keys));
});
afterAll(() => stopAll(uncapped, capped));

async function setCap(service: Service, { accountId }: Account, cap: number | null): Promise<void> {
  const body = { limits: { deliveries_per_hour: cap } };
  const path = `/v1/accounts/${accountId}`;
  const { status } = await call(service.apiUrl, operators.get(service) ?? '', 'PUT', path, body);
  expect(status).toBe(200);
}

/** An account with that cap and a webhook. */
async function open(service: Service, cap: number | null) {
  const receiver = await startReceiver();
  onTestFinished(() => receiver.close());
  const account = await openAccount(service);
  await setCap(service, account, cap);
  return { account, receiver, webhookId: await account.newWebhook(receiver.url) };
}

type Row = { id: string; status: string; waitReason: string | null; at: Date | null };
async function rowsOf({ pool }: Service, webhookId: string): Promise<Row[]> {
  const { rows } = await pool.query<Row>(
    `select id, status, wait_reason as "waitReason", next_attempt_at as at from deliveries
     where webhook_id = $1 order by id`,
    [webhookId],
  );
  return rows;
}
const isDeferred = ({ waitReason }: Row) => waitReason === 'hourly_cap';
const untilSplit = (service: Service, webhookId: string, delivered: number, deferred: number) =>
  until(
    () => rowsOf(service, webhookId),
    (rows) =>
      rows.filter(({ status }) => status === 'delivered').length === delivered &&
      rows.filter(isDeferred).length === deferred,
  );
async function startsOf({ pool }: Service, webhookId: string): Promise<number[]> {
  const { rows } = await pool.query<{ at: Date }>(
    `select started_at as at from attempts where webhook_id = $1 order by started_at`,
    [webhookId],
  );
  return rows.map(({ at }) => at.getTime());
}
/** Each deferred delivery has the exact time at which there is room for it, oldest first. */
async function untilExact(service: Service, webhookId: string, cap: number): Promise<Row[]> {
  const starts = await startsOf(service, webhookId);
  return until(
    () => rowsOf(service, webhookId),
    (rows) =>
      rows.filter(isDeferred).every(({ at }, index) => {
        // With a cap below the number of attempts so far, there is room when all but cap - 1 are an hour old.
        const expected = (starts[starts.length - cap + index] ?? NaN) + windowMs;
        return index >= cap || Math.abs((at?.getTime() ?? 0) - expected) <= 10;
      }),
    30_000,
  );
}

test('a cap of its own holds where the setting is no cap, exactly; other accounts have none', async () => {
  const { account, receiver, webhookId } = await open(uncapped, 4);
  const other = await open(uncapped, null);
  await Promise.all([account.publish(12), other.account.publish(12)]);
  await untilSplit(uncapped, other.webhookId, 12, 0);
  await untilSplit(uncapped, webhookId, 4, 8);
  await untilExact(uncapped, webhookId, 4);
  expect([receiver.requests.length, other.receiver.requests.length]).toEqual([4, 12]);
  const shown = async ({ account: of, webhookId: id }: { account: Account; webhookId: string }) =>
    (await of.call<{ hourly_cap: unknown }>('GET', `/v1/webhooks/${id}`)).body.hourly_cap;
  expect(await shown({ account, webhookId })).toMatchObject({ limit: 4, used: 4 });
  expect(await shown(other)).toBeNull();
});

test('above the setting, below it, and none: each account has its own', async () => {
  const [more, fewer, none, usual] = [
    await open(capped, setting + 3),
    await open(capped, 1),
    await open(capped, 0),
    await open(capped, null),
  ];
  const all = [more, fewer, none, usual];
  await Promise.all(all.map(({ account }) => account.publish(12)));
  await untilSplit(capped, more.webhookId, setting + 3, 12 - setting - 3);
  await untilSplit(capped, fewer.webhookId, 1, 11);
  await untilSplit(capped, none.webhookId, 12, 0);
  await untilSplit(capped, usual.webhookId, setting, 12 - setting);
  expect(all.map(({ receiver }) => receiver.requests.length)).toEqual([setting + 3, 1, 12, setting]);
});

test('a cap that is changed while deliveries are deferred gives them new times, up, down, and to none', async () => {
  const { account, receiver, webhookId } = await open(uncapped, 4);
  await account.publish(12);
  await untilSplit(uncapped, webhookId, 4, 8);
  await setCap(uncapped, account, 6);
  await untilSplit(uncapped, webhookId, 6, 6);
  await untilExact(uncapped, webhookId, 6);
  await setCap(uncapped, account, 2);
  // The next may go when all but one of the six are an hour old.
  await untilExact(uncapped, webhookId, 2);
  expect(receiver.requests).toHaveLength(6);
  await setCap(uncapped, account, null);
  await untilSplit(uncapped, webhookId, 12, 0);
  // A cap of its own again: attempts without one count.
  await setCap(uncapped, account, 13);
  await account.publish(3);
  await untilSplit(uncapped, webhookId, 13, 2);
  expect(receiver.requests).toHaveLength(13);
});

test('several processes share it: a burst gets no more, and a slow receiver no more at once', async () => {
  const cap = 7;
  const own = await startService({ FLTR_DELIVERIES_PER_HOUR: '0', LOG_LEVEL: 'warn' }, null);
  onTestFinished(() => own.stop());
  const operator = await own.newKey({ accountId: null, scopes: ['accounts:write'] });
  operators.set(own, operator);
  let slow: Receiver | undefined;
  onTestFinished(async () => slow?.close());
  slow = await startReceiver((_request, response) => void setTimeout(() => response.end('ok'), 300));
  const processes = [
    startProcess(['up'], own.env),
    startProcess(['worker'], own.env),
    startProcess(['worker'], own.env),
  ];
  onTestFinished(async () => {
    for (const each of processes) each.kill('SIGTERM');
    await Promise.all(processes.map((each) => each.exited()));
  });
  await untilReady(own.apiUrl, processes[0]);
  const account = await openAccount(own);
  await setCap(own, account, cap);
  const webhookId = await account.newWebhook(slow.url);
  await Promise.all([account.publish(30), account.publish(30)]);
  await untilSplit(own, webhookId, cap, 60 - cap);
  await untilExact(own, webhookId, cap);
  expect(slow.requests).toHaveLength(cap);
});
