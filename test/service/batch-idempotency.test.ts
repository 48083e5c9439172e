import { afterAll, beforeAll, expect, test } from 'vitest';
import { fromKept, toKept, type BatchResult } from '../../src/api/kept-batch.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
});
afterAll(() => stopAll(service, receiver));

type Body = { data: BatchResult[]; code?: string };
const event = (id: string, more = {}) => ({
  event: 'document.deleted',
  data: { document_id: 'd', dataset_id: 's', ...more },
  id,
});

/** Publishes in an account of its own. */
async function openAccount() {
  const { accountId, key } = await service.newAccount();
  const publish = (events: unknown, idempotencyKey: string) =>
    call<Body>(
      service.apiUrl,
      key,
      'POST',
      '/v1/events/batch',
      { events },
      { 'idempotency-key': idempotencyKey },
    );
  const subscribe = (more = {}) =>
    call(service.apiUrl, key, 'POST', '/v1/webhooks', { url: receiver.url, events: ['*'], ...more });
  const countEvents = async () => {
    const text = `select count(*)::int as count from events where account_id = $1`;
    return (await service.pool.query<{ count: number }>(text, [accountId])).rows[0]?.count;
  };
  return { accountId, publish, subscribe, countEvents };
}

test('a batch with the same Idempotency-Key and body is published once, and has the same response', async () => {
  const { publish, subscribe, countEvents } = await openAccount();
  await subscribe();
  // Without ids of their own, a second acceptance would make other events.
  const events = [
    event('a'),
    { ...event('b'), id: undefined },
    { event: 'no.such' },
    event('a', { deleted_by: 'x' }),
  ];
  const first = await publish(events, 'batch-1');
  expect(first.body.data.map(({ status }) => status)).toEqual([202, 202, 422, 409]);
  const id = (first.body.data[1] as { id: string }).id;
  const sent = () => receiver.requests.filter(({ headers }) => headers['webhook-id'] === id).length;
  await until(sent, (count) => count === 1);
  const again = await publish(events, 'batch-1');
  expect([again.status, again.text]).toEqual([207, first.text]);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(await countEvents()).toBe(2);
  expect(sent()).toBe(1);

  const other = await publish([event('c')], 'batch-1');
  expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused']);
  expect((await publish([event('c')], 'batch-2')).status).toBe(207);
  expect(await countEvents()).toBe(3);
});

test('of batches with one Idempotency-Key at the same time one is published, and all have its response', async () => {
  const { publish, countEvents } = await openAccount();
  const events = Array.from({ length: 20 }, () => ({ ...event(''), id: undefined }));
  const responses = await Promise.all(Array.from({ length: 20 }, () => publish(events, 'raced')));
  expect(new Set(responses.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
  expect(responses.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1);
  expect(await countEvents()).toBe(20);
});

test('a process that dies before the commit leaves nothing behind, and the key can be used for the next call', async () => {
  const { publish, countEvents } = await openAccount();
  const events = [event('x'), { ...event(''), id: undefined }];
  const blocker = await service.pool.connect();
  await blocker.query('begin');
  await blocker.query('lock table events in share mode');
  const lost = publish(events, 'lost');
  // The key is claimed by then, in a transaction that waits to write the events.
  const waiting = async () =>
    (
      await blocker.query<{ pid: number }>(
        `select pid from pg_locks join pg_stat_activity using (pid)
         where not granted and relation = 'events'::regclass and datname = current_database()`,
      )
    ).rows[0]?.pid;
  const pid = await until(waiting, (found) => found !== undefined);
  await blocker.query(`select pg_terminate_backend($1)`, [pid]);
  expect((await lost).status).toBe(503);
  await blocker.query('rollback');
  blocker.release();
  expect(await countEvents()).toBe(0);
  const next = await publish(events, 'lost');
  expect([next.status, next.headers.get('idempotent-replayed')]).toEqual([207, null]);
  expect((await publish(events, 'lost')).text).toBe(next.text);
  expect(await countEvents()).toBe(2);
});

test('the kept part of a response is bounded; the deliveries of a long one are read again', async () => {
  const { publish, subscribe, countEvents } = await openAccount();
  for (let count = 0; count < 8; count += 1) await subscribe({ active: false });
  const events = [...Array.from({ length: 499 }, (_, index) => event(`long-${index}`)), { event: 'no.such' }];
  const first = await publish(events, 'long');
  expect(first.text.length).toBeGreaterThan(400_000);
  const { rows } = await service.pool.query<{ bytes: number }>(
    `select length(sealed_response) as bytes from idempotency_keys where key = 'long'`,
  );
  expect(rows[0]?.bytes).toBeLessThan(100_000);
  const again = await publish(events, 'long');
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(again.body).toEqual(first.body);
  expect(await countEvents()).toBe(499);
});

test('a response is kept whole up to the bound, and without its deliveries beyond it', async () => {
  const { accountId, publish, subscribe } = await openAccount();
  await subscribe({ active: false });
  const { body } = await publish([event('one'), { event: 'no.such' }], 'small');
  const bytes = JSON.stringify(body.data).length;
  expect(toKept(body, [accountId, null], bytes)).toEqual(body);
  const kept = toKept(body, [accountId, null], bytes - 1);
  expect(JSON.stringify(kept)).not.toContain('dlv_');
  expect(await fromKept(service.pool, kept)).toEqual(body);
});
