import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { FltrWebhooks } from '../../src/client/fltr-webhooks.ts';
import { FltrWebhooksError } from '../../src/client/request.ts';
import type { AcceptedEvent, EventSummary } from '../../src/contracts/event.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { openAccount, type Account } from '../kit/recoveries.ts';
import { call, startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let service: Service;
let receiver: Receiver;
/** Requests to `/slow` are responded to when it resolves. */
let release = Promise.withResolvers<void>();
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_RETRY_SCHEDULE_SECONDS: '600', FLTR_DELIVERIES_PER_HOUR: '0' }),
    startReceiver((request, response) => {
      if (request.path !== '/slow') response.writeHead(request.path === '/refuses' ? 404 : 200).end();
      else void release.promise.then(() => response.writeHead(200).end());
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));

type Result = AcceptedEvent & { code: string };
const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } };
const publish = (
  account: Account,
  wait: number | string,
  more: object = {},
  headers = {},
  url = service.apiUrl,
) => call<Result>(url, account.key, 'POST', `/v1/events?wait=${wait}`, { ...event, ...more }, headers);
const read = (account: Account, id: string, wait: number, url = service.apiUrl) =>
  call<EventSummary>(url, account.key, 'GET', `/v1/events/${id}?wait=${wait}`);
const statusesOf = ({ deliveries }: Pick<AcceptedEvent, 'deliveries'>) =>
  deliveries.map(({ status }) => status).toSorted();

async function startOther(command: string): Promise<{ url: string; child: ServiceProcess }> {
  const port = await reservePort();
  const url = `http://127.0.0.1:${port}`;
  const child = startProcess([command], { ...service.env, PORT: String(port) });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await child.exited();
  });
  await untilReady(url, child);
  return { url, child };
}

test('publishing waits until all deliveries have ended, and returns their states', async () => {
  const account = await openAccount(service);
  await account.newWebhook(`${receiver.url}/ok`);
  await account.newWebhook(`${receiver.url}/refuses`);
  const { status, body } = await publish(account, 60);
  expect({ status, statuses: statusesOf(body) }).toEqual({ status: 202, statuses: ['delivered', 'failed'] });
  const shown = await read(account, body.id, 60);
  expect({ status: shown.status, statuses: statusesOf(shown.body) }).toEqual({
    status: 200,
    statuses: ['delivered', 'failed'],
  });
  // Again, and with a key of its own: as it is by now.
  expect((await publish(account, 60, { id: body.id })).body).toEqual({ ...body, duplicate: true });
  const headers = { 'Idempotency-Key': 'once' };
  const once = await publish(account, 60, { id: 'evt_once' }, headers);
  expect(statusesOf(once.body)).toEqual(['delivered', 'failed']);
  expect((await publish(account, 60, { id: 'evt_once' }, headers)).body).toEqual(once.body);
  const nobodys = await openAccount(service);
  expect((await publish(nobodys, 60)).body.deliveries).toEqual([]);
});

test('deliveries that have not ended after so many seconds are shown in their present state', async () => {
  const account = await openAccount(service);
  await account.newWebhook(`${receiver.url}/ok`);
  await account.newWebhook(`${receiver.url}/ok`, { active: false });
  const startedAt = performance.now();
  const { body } = await publish(account, 2);
  expect(performance.now() - startedAt).toBeGreaterThan(1900);
  expect(statusesOf(body)).toEqual(['delivered', 'held']);
  for (const wait of ['0', '61', '1.5', '-1', 'soon', ''])
    expect((await publish(account, wait)).status).toBe(422);
  expect((await call(service.apiUrl, account.key, 'POST', '/v1/events?waits=1', event)).status).toBe(422);
  expect((await read(account, 'evt_unknown', 1)).status).toBe(404);
  const stranger = await openAccount(service);
  expect((await read(stranger, body.id, 1)).status).toBe(404);
});

test('an end by a call or a deletion ends the wait', async () => {
  const account = await openAccount(service);
  const webhook = await account.newWebhook(`${receiver.url}/ok`, { active: false });
  const deleted = await account.newWebhook(`${receiver.url}/ok`, { active: false });
  const { body } = await publish(account, 1);
  const waiting = read(account, body.id, 60);
  const [first] = body.deliveries.filter(({ webhook_id: id }) => id === webhook);
  await account.call('POST', `/v1/deliveries/${first?.id}/cancel`);
  await account.call('DELETE', `/v1/webhooks/${deleted}`);
  expect(statusesOf((await waiting).body)).toEqual(['canceled', 'canceled']);
});

test('published at one process, delivered by another', async () => {
  const account = await openAccount(service);
  await account.newWebhook(`${receiver.url}/slow`);
  release = Promise.withResolvers();
  const [api, whole] = [await startOther('api'), await startOther('up')];
  const waiting = [
    ...Array.from({ length: 5 }, () => publish(account, 60, {}, {}, api.url)),
    ...Array.from({ length: 5 }, () => publish(account, 60, {}, {}, whole.url)),
  ];
  await until(
    () => receiver.requests.filter(({ path }) => path === '/slow').length,
    (count) => count === waiting.length,
  );
  release.resolve();
  for (const response of await Promise.all(waiting)) expect(statusesOf(response.body)).toEqual(['delivered']);
});

test('requests that wait hold no connection of the database; a client that goes away waits no longer', async () => {
  const account = await openAccount(service);
  await account.newWebhook(`${receiver.url}/ok`, { active: false });
  const gone = new AbortController();
  // As many as an account may have.
  const waiting = Array.from({ length: 100 }, () =>
    fetch(`${service.apiUrl}/v1/events?wait=60`, {
      method: 'POST',
      headers: { authorization: `Bearer ${account.key}` },
      body: JSON.stringify(event),
      signal: gone.signal,
    }).catch(() => null),
  );
  const refused = await until(
    () => publish(account, 1),
    ({ status }) => status === 429,
  );
  expect(refused.body.code).toBe('rate_limited');
  const count = async () =>
    (await service.pool.query('select 1 from events where account_id = $1', [account.accountId])).rowCount;
  const published = await until(count, (now) => now !== null && now >= 100);
  expect((await publish(account, 1)).status).toBe(429);
  // Nothing was published by the refused one.
  expect(await count()).toBe(published);
  const busy = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity
     where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()`,
  );
  expect(busy.rows[0]?.count).toBeLessThan(10);
  // Others are served meanwhile.
  const other = await openAccount(service);
  await other.newWebhook(`${receiver.url}/ok`);
  expect(statusesOf((await publish(other, 60)).body)).toEqual(['delivered']);
  gone.abort();
  await Promise.all(waiting);
  await until(
    () => publish(account, 1),
    ({ status }) => status === 202,
  );
});

test('a process that stops responds early, with the states of that moment', async () => {
  const account = await openAccount(service);
  await account.newWebhook(`${receiver.url}/ok`, { active: false });
  const { url, child } = await startOther('api');
  const waiting = publish(account, 60, { id: 'evt_stop' }, {}, url);
  await until(
    () => call<object>(service.apiUrl, account.key, 'GET', '/v1/events/evt_stop'),
    ({ status }) => status === 200,
  );
  child.kill('SIGTERM');
  const { status, body } = await waiting;
  expect({ status, statuses: statusesOf(body) }).toEqual({ status: 202, statuses: ['held'] });
  expect(await child.exited()).toBe(0);
});

test('the connection for notifications of changes is lost: a wait ends all the same', async () => {
  const account = await openAccount(service);
  await account.newWebhook(`${receiver.url}/slow`);
  release = Promise.withResolvers();
  const before = receiver.requests.length;
  const waiting = publish(account, 60);
  await until(
    () => receiver.requests.length,
    (count) => count > before,
  );
  await service.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'fltr-webhooks changes'`,
  );
  release.resolve();
  expect(statusesOf((await waiting).body)).toEqual(['delivered']);
});

test('the client waits as long, and throws when there are too many', async () => {
  const account = await openAccount(service);
  await account.newWebhook(`${receiver.url}/ok`);
  const client = new FltrWebhooks({
    url: service.apiUrl,
    apiKey: account.key,
    timeoutMs: 20_000,
    maxRetries: 0,
  });
  const accepted = await client.publishEvent(
    { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } },
    { wait: 60 },
  );
  expect(statusesOf(accepted)).toEqual(['delivered']);
  expect(statusesOf(await client.getEvent(accepted.id, { wait: 60 }))).toEqual(['delivered']);
  await expect(client.getEvent(accepted.id, { wait: 61 })).rejects.toThrow(FltrWebhooksError);
});
