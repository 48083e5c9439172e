import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { watchChanges } from '../../src/client/watch-changes.ts';
import { FltrWebhooks } from '../../src/client/fltr-webhooks.ts';
import type { Topic } from '../../src/contracts/change.ts';
import { revokeApiKey } from '../../src/db/api-keys-table.ts';
import { failedEventId } from '../../src/db/operational-events.ts';
import { digestOfKey } from '../../src/security/api-keys.ts';
import { taskQueue } from '../../workflows/contract.ts';
import { ownPage, portalCalls } from '../kit/portal.ts';
import { startProcess } from '../kit/process.ts';
import { parseMetrics, sumOf } from '../kit/read-metrics.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';
import { openStream } from '../kit/streams.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
}, 120_000);
afterAll(() => stopAll(service, receiver));

const portal = portalCalls(() => service);
const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
const publishAs = (key: string, apiUrl = service.apiUrl) =>
  call<{ id: string; deliveries: { id: string }[] }>(apiUrl, key, 'POST', '/v1/events', event);

/** Another process on the same database. */
async function startOther(role: 'api' | 'worker', port: number) {
  const child = startProcess([role], { ...service.env, PORT: String(port) });
  const apiUrl = `http://127.0.0.1:${port}`;
  await untilReady(apiUrl, child);
  return { child, apiUrl };
}

test('events that another process has accepted, and deliveries of this one, are sent on the stream of their account alone', async () => {
  await service.newWebhook(receiver.url);
  const other = await startOther('api', await reservePort());
  try {
    const stranger = await service.newAccount();
    const mine = await openStream(service.apiUrl, service.key);
    const theirs = await openStream(service.apiUrl, stranger.key);
    expect([mine.status, mine.headers.get('content-type')]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
    ]);
    expect(mine.headers.get('cache-control')).toBe('no-store');
    expect(mine.headers.get('x-accel-buffering')).toBe('no');
    const accepted = await publishAs(service.key, other.apiUrl);
    await mine.untilChanged(accepted.body.id);
    await mine.untilChanged(accepted.body.deliveries[0]?.id ?? 'none');
    // The stranger's own event comes after, and is all that the stranger gets.
    const own = await publishAs(stranger.key, other.apiUrl);
    await theirs.untilChanged(own.body.id);
    expect(theirs.changes.flatMap(({ ids }) => ids ?? ['unknown'])).toEqual([own.body.id]);
    expect(mine.changes.flatMap(({ ids }) => ids ?? [])).not.toContain(own.body.id);
    // And the other way round: a stream there, a change here.
    const there = await openStream(other.apiUrl, service.key);
    const webhook = await service.newWebhook(receiver.url, { events: ['dataset.updated'] });
    await there.untilChanged(webhook.webhook_id);
    await service.call('DELETE', `/v1/webhooks/${webhook.webhook_id}`);
    for (const each of [mine, theirs, there]) each.close();
  } finally {
    other.child.kill('SIGTERM');
    expect(await other.child.exited()).toBe(0);
  }
}, 120_000);

test('an operation, a canceled delivery and a paused webhook are sent on the stream', async () => {
  const webhook = await service.newWebhook('http://127.0.0.1:1/', { retry: { schedule_seconds: [3600] } });
  const { deliveries } = await service.publish();
  const id = deliveries.find(({ webhook_id: to }) => to === webhook.webhook_id)?.id ?? '';
  await until(
    async () => (await service.call<{ status: string }>('GET', `/v1/deliveries/${id}`)).body.status,
    (status) => status === 'retrying',
  );
  const stream = await openStream(service.apiUrl, service.key);
  const operation = await service.call<{ id: string }>('POST', '/v1/deliveries/actions', {
    action: 'cancel',
    filter: { ids: [id] },
  });
  expect(operation.status).toBe(202);
  await stream.untilChanged(operation.body.id);
  await stream.untilChanged(id);
  const before = stream.changes.length;
  await service.call('POST', `/v1/webhooks/${webhook.webhook_id}/pause`, {});
  await until(
    () => stream.changes.slice(before).some(({ topics }) => topics.includes('webhooks')),
    (is) => is,
    20_000,
  );
  stream.close();
}, 60_000);

test('many changes are sent at most once a second, with few ids', async () => {
  const { key } = await service.newAccount();
  const stream = await openStream(service.apiUrl, key);
  const startedAt = performance.now();
  for (let round = 0; round < 20; round += 1)
    await Promise.all(Array.from({ length: 20 }, () => publishAs(key)));
  // A fast machine publishes all of them before the first change is sent.
  await until(
    async () => (await publishAs(key), stream.changes.length),
    (count) => count > 2,
    20_000,
  );
  const seconds = (performance.now() - startedAt) / 1000;
  expect(stream.changes.length).toBeLessThanOrEqual(seconds + 2);
  for (const { ids } of stream.changes) expect(ids?.length ?? 0).toBeLessThanOrEqual(50);
  stream.close();
}, 60_000);

test('a stream ends within a minute after its key is revoked or its portal session has ended; others continue', async () => {
  const key = await service.newKey({ accountId: service.accountId });
  const { id, token } = await portal.openNew();
  const signedIn = await fetch(`${service.apiUrl}/session`, {
    method: 'POST',
    headers: { ...ownPage, 'content-type': 'application/json' },
    body: JSON.stringify({ key }),
  });
  const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
  const [kept, ofKey, ofPortal, ofSession, crossSite] = await Promise.all([
    openStream(service.apiUrl, service.key),
    openStream(service.apiUrl, key),
    openStream(service.apiUrl, token),
    openStream(service.apiUrl, null, { cookie, ...ownPage }),
    openStream(service.apiUrl, null, { cookie }),
  ]);
  expect([kept, ofKey, ofPortal, ofSession].map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  // Another site's page can send the cookie, but not the header.
  expect(crossSite.status).toBe(403);
  const accepted = await publishAs(service.key);
  await Promise.all([kept, ofKey, ofPortal, ofSession].map((each) => each.untilChanged(accepted.body.id)));
  const { rows } = await service.pool.query<{ id: string }>(`select id from api_keys where digest = $1`, [
    digestOfKey(key),
  ]);
  await revokeApiKey(service.pool, rows[0]?.id ?? '');
  expect((await service.call('DELETE', `/v1/portal-links/${id}`)).status).toBe(204);
  await until(
    () => [ofKey, ofPortal, ofSession].every((each) => each.hasEnded()),
    (is) => is,
    60_000,
  );
  expect([kept.hasEnded(), kept.names.includes('ping')]).toEqual([false, true]);
  kept.close();
}, 90_000);

test('without the connection that receives changes, streams end; when it is back, there are streams again', async () => {
  const stream = await openStream(service.apiUrl, service.key);
  const cut = () =>
    service.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'fltr-webhooks changes' and datname = current_database()`,
    );
  await cut();
  await until(stream.hasEnded, (is) => is, 20_000);
  const again = await until(
    () => openStream(service.apiUrl, service.key),
    ({ status }) => status === 200,
    20_000,
  );
  const accepted = await publishAs(service.key);
  await again.untilChanged(accepted.body.id);
  again.close();
}, 60_000);

test('after kill -9 and after a stop, a client polls until it has another stream by itself', async () => {
  const port = await reservePort();
  const first = await startOther('api', port);
  const calls: string[] = [];
  const changed = new Set<string>();
  const stop = watchChanges(new FltrWebhooks({ apiKey: service.key, url: first.apiUrl }), {
    onReady: () => void calls.push('ready'),
    onLost: () => void calls.push('lost'),
    onChange: ({ ids }) => ids?.forEach((id) => changed.add(id)),
  });
  const untilCall = (name: string) =>
    until(
      () => calls.at(-1),
      (last) => last === name,
      60_000,
    );
  let { child } = first;
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await untilCall('ready');
    const signaledAt = performance.now();
    child.kill(signal);
    await untilCall('lost');
    expect(performance.now() - signaledAt).toBeLessThan(5000);
    await child.exited();
    ({ child } = await startOther('api', port));
    await untilCall('ready');
    const accepted = await publishAs(service.key);
    await until(
      () => changed.has(accepted.body.id),
      (is) => is,
      20_000,
    );
  }
  stop();
  child.kill('SIGKILL');
  await child.exited();
}, 120_000);

test('a client whose key is refused stops', async () => {
  let refused: unknown = null;
  watchChanges(new FltrWebhooks({ apiKey: 'fltr_unknown', url: service.apiUrl }), {
    onReady: () => undefined,
    onChange: () => undefined,
    onLost: (error) => (refused = error),
  });
  await until(
    () => refused,
    (error) => error !== null,
    20_000,
  );
  expect(refused).toMatchObject({ status: 401 });
});

test('the end of a pause, a webhook that is disabled, and the events about failures are sent on the stream', async () => {
  const { accountId, key } = await service.newAccount();
  const as = <T>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  const create = async (url: string, more: Record<string, unknown> = {}) =>
    (await as<{ webhook_id: string }>('POST', '/v1/webhooks', { url, events: ['document.*'], ...more })).body
      .webhook_id;
  const gone = await startReceiver((_request, response) => void response.writeHead(410).end());
  onTestFinished(() => gone.close());
  await create(receiver.url, { events: ['webhook.*', 'delivery.failed'] });
  const ofGone = await create(gone.url, { retry: { preset: 'page', on_gone: 'disable' } });
  const paused = await create(receiver.url, { events: ['dataset.created'] });
  const failing = await create(receiver.url, { events: ['dataset.created'] });
  // Earlier changes are not sent.
  const stream = await openStream(service.apiUrl, key);
  onTestFinished(() => stream.close());
  const topicsOf = (id: string) =>
    stream.changes.flatMap(({ topics, ids }) => (ids?.includes(id) === true ? topics : []));
  const untilSaid = (id: string) =>
    until(
      () => topicsOf(id),
      (topics) => ['webhooks', 'deliveries', 'events'].every((topic) => topics.includes(topic as Topic)),
      20_000,
    );

  // Nothing of it is held, so nothing but the webhook changes.
  await as('POST', `/v1/webhooks/${paused}/pause`, { until: new Date(Date.now() + 3_600_000).toISOString() });
  await service.pool.query(`update webhooks set paused_until = now() where id = $1`, [paused]);
  await untilSaid(paused);

  // The receiver's 410 disables it, and its failure is an event.
  const { deliveries } = (await publishAs(key)).body;
  await untilSaid(ofGone);
  await until(
    () => topicsOf(failedEventId(deliveries[0]?.id ?? '', 1)),
    (topics) => topics.includes('events') && topics.includes('deliveries'),
    20_000,
  );

  // Too many failures, by the scheduled workflow.
  await service.pool.query(
    `insert into webhook_stats (webhook_id, minute, activation, attempts, delivered, failed, durations)
     values ($1, date_trunc('minute', now()), 0, 20, 0, 20, '{}')`,
    [failing],
  );
  await service.temporal.client.workflow.execute('evaluateAutoDisable', {
    taskQueue,
    workflowId: `evaluate_${accountId}`,
  });
  await untilSaid(failing);

  // A digest of failures whose minute is over.
  await service.pool.query(
    `insert into failure_counts (webhook_id, minute, account_id, failed)
     values ($1, date_trunc('minute', now()) - interval '2 minutes', $2, 12)`,
    [ofGone, accountId],
  );
  const digest = await until(
    async () =>
      (
        await service.pool.query<{ id: string }>(
          `select id from events where account_id = $1 and type = 'delivery.failed' and body::text like '%' || encode('"count"', 'hex') || '%'`,
          [accountId],
        )
      ).rows[0]?.id,
    (id) => id !== undefined,
    20_000,
  );
  await until(
    () => topicsOf(digest ?? ''),
    (topics) => topics.includes('events'),
    20_000,
  );
}, 120_000);

test('an account has at most 100 streams, a process 1,000; the next one is refused with Retry-After', async () => {
  const accounts = await Promise.all(Array.from({ length: 10 }, () => service.newAccount()));
  const open = (key: string) => openStream(service.apiUrl, key);
  const streams = [];
  for (const { key } of accounts)
    streams.push(...(await Promise.all(Array.from({ length: 100 }, () => open(key)))));
  expect(streams.filter(({ status }) => status === 200)).toHaveLength(1000);
  const text = await (await fetch(`${service.apiUrl}/metrics`)).text();
  expect(sumOf(parseMetrics(text), 'fltr_streams_open')).toBe(1000);
  const [first, ...others] = accounts;
  const ofFull = await open(first?.key ?? '');
  expect([ofFull.status, Number(ofFull.headers.get('retry-after')) > 0]).toEqual([429, true]);
  const ofOther = await open(service.key);
  expect([ofOther.status, Number(ofOther.headers.get('retry-after')) > 0]).toEqual([503, true]);
  // All that are open still get their account's changes.
  const last = others.at(-1)?.key ?? '';
  const accepted = await publishAs(last);
  await Promise.all(streams.slice(-100).map((each) => each.untilChanged(accepted.body.id)));
  for (const each of streams) each.close();
  const freed = await until(
    () => open(service.key),
    ({ status }) => status === 200,
    20_000,
  );
  freed.close();
}, 120_000);
