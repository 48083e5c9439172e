import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Operation } from '../../src/contracts/operation.ts';
import { openAccount, receive, waitForDeliveries } from '../kit/recoveries.ts';
import { startService, until, type Service } from '../kit/service.ts';
import { startReceiver } from '../kit/test-receiver.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ FLTR_AUTO_DISABLE_EVERY_SECONDS: '86400' });
});
afterAll(() => service.stop());

type Page = { data: { id: string }[]; next_cursor: string | null };

test('the log shows the deliveries of an operation, by status too; the list shows the operations of a webhook', async () => {
  const [account, stranger] = [await openAccount(service), await openAccount(service)];
  let failing = true;
  const receiver = await startReceiver(({ path }, response) => {
    response.writeHead(failing || path === '/bad' ? 404 : 200).end();
  });
  onTestFinished(() => receiver.close());
  const [good, bad] = [
    await account.newWebhook(`${receiver.url}/good`),
    await account.newWebhook(`${receiver.url}/bad`),
  ];
  await account.publish(3);
  await waitForDeliveries(service, account.accountId, 'failed', 6);
  failing = false;
  const { body: operation } = await account.call<Operation>('POST', '/v1/deliveries/actions', {
    action: 'retry',
    filter: { since: '2020-01-01T00:00:00Z', status: 'failed' },
  });
  expect(operation.workflow).toEqual({
    id: operation.id,
    url: expect.stringMatching(new RegExp(`/namespaces/[^/]+/workflows/${operation.id}$`)),
  });
  const ended = await until(
    async () => (await account.call<Operation>('GET', `/v1/operations/${operation.id}`)).body,
    ({ outcome }) => outcome !== null && outcome.waiting === 0,
  );
  expect(ended.outcome).toEqual({ delivered: 3, failed: 3, canceled: 0, waiting: 0 });

  const list = async (query: string, who = account) => {
    const { status, body } = await who.call<Page>(
      'GET',
      `/v1/deliveries?operation_id=${operation.id}${query}`,
    );
    expect(status).toBe(200);
    return body;
  };
  expect((await list('')).data).toHaveLength(6);
  expect((await list('&status=delivered')).data).toHaveLength(3);
  expect((await list(`&webhook_id=${bad}`)).data).toHaveLength(3);
  expect((await list(`&webhook_id=${bad}&status=delivered`)).data).toEqual([]);
  const first = await list('&limit=4');
  const second = await list(`&limit=4&cursor=${first.next_cursor}`);
  expect(new Set([...first.data, ...second.data].map(({ id }) => id)).size).toBe(6);
  expect(second.next_cursor).toBeNull();
  const { body: counts } = await account.call(
    'GET',
    `/v1/deliveries/counts?operation_id=${operation.id}&webhook_id=${good}`,
  );
  expect(counts).toMatchObject({ counts: { delivered: 3, failed: 0 } });
  expect((await list('', stranger)).data).toEqual([]);
  const { body: none } = await stranger.call('GET', `/v1/deliveries/counts?operation_id=${operation.id}`);
  expect(none).toMatchObject({ counts: { delivered: 0, failed: 0 } });

  // A bulk action selects the deliveries of an operation or of an event, within the account alone.
  const { event_id: eventId } = (
    await account.call<{ event_id: string }>('GET', `/v1/deliveries/${first.data[0]?.id}`)
  ).body;
  const countActed = async (action: string, filter: object, who = account) => {
    const body = { action, filter, dry_run: true };
    const { status, text, body: dry } = await who.call<Operation>('POST', '/v1/deliveries/actions', body);
    if (status !== 200) throw new Error(text);
    return dry.total;
  };
  expect(await countActed('retry', { operation_id: operation.id })).toBe(3);
  expect(await countActed('resend', { operation_id: operation.id })).toBe(6);
  expect(await countActed('resend', { operation_id: operation.id, error: 'client_error' })).toBe(3);
  expect(await countActed('resend', { operation_id: operation.id, webhook_id: good })).toBe(3);
  expect(await countActed('resend', { operation_id: operation.id, event_id: eventId })).toBe(2);
  expect(await countActed('resend', { event_id: eventId })).toBe(2);
  expect(await countActed('retry', { event_id: eventId, webhook_id: good })).toBe(0);
  expect(await countActed('resend', { event_id: eventId, until: '2021-01-01T00:00:00Z' })).toBe(0);
  expect(await countActed('resend', { operation_id: 'op_none' })).toBe(0);
  for (const filter of [{ operation_id: operation.id }, { event_id: eventId }])
    for (const action of ['retry', 'resend', 'cancel'])
      expect(await countActed(action, filter, stranger)).toBe(0);
  const again = await account.call<Operation>('POST', '/v1/deliveries/actions', {
    action: 'retry',
    filter: { operation_id: operation.id },
    per_second: 2,
  });
  // Those that it acts on are no longer the first operation's. It acts on each all the same.
  expect(
    await until(
      async () => (await account.call<Operation>('GET', `/v1/operations/${again.body.id}`)).body,
      ({ outcome }) => outcome !== null && outcome.waiting === 0,
    ),
  ).toMatchObject({ total: 3, done: 3, outcome: { failed: 3 } });
  expect((await list('')).data).toHaveLength(3);

  const { body: recovery } = await account.recover(bad, { since: '2020-01-01T00:00:00Z' });
  const operationsOf = async (query: string, who = account) =>
    (await who.call<Page>('GET', `/v1/operations${query}`)).body.data.map(({ id }) => id);
  expect(await operationsOf('')).toEqual([recovery.id, again.body.id, operation.id]);
  expect(await operationsOf(`?webhook_id=${bad}`)).toEqual([recovery.id]);
  expect(await operationsOf(`?webhook_id=${good}`)).toEqual([]);
  // A webhook of another account has none.
  const stolen = await stranger.call<Page>('GET', `/v1/operations?webhook_id=${bad}`);
  expect(stolen.body.data ?? []).toEqual([]);
});

test('deferred deliveries are listed, counted, exported and canceled alone', async () => {
  const [account, stranger] = [await openAccount(service), await openAccount(service)];
  const receiver = await receive();
  const limited = await account.newWebhook(receiver.url, { rate_limit: { attempts: 1, seconds: 3600 } });
  await account.publish(4);
  await waitForDeliveries(service, account.accountId, 'delivered', 1);
  // A pending delivery whose time was requested is not deferred.
  const pending = await until(
    () => account.call<Page>('GET', '/v1/deliveries?deferred=true'),
    ({ body }) => body.data.length === 3,
  );
  const [moved = '', ...deferred] = pending.body.data.map(({ id }) => id);
  const at = new Date(Date.now() + 86_400_000).toISOString();
  await account.call('PATCH', `/v1/deliveries/${moved}`, { next_attempt_at: at });
  const idsOf = async (query: string, who = account) => {
    const { status, text, body } = await who.call<Page>('GET', `/v1/deliveries?deferred=true${query}`);
    if (status !== 200) throw new Error(text);
    return body.data.map(({ id }) => id);
  };
  await until(idsOf.bind(null, ''), (ids) => ids.length === 2);
  for (const query of ['', '&status=pending', `&webhook_id=${limited}`, '&event=document.deleted'])
    expect([query, await idsOf(query)]).toEqual([query, deferred]);
  for (const query of ['&status=retrying', '&event=dataset.deleted', '&code=404', '&webhook_id=wh_none'])
    expect([query, await idsOf(query)]).toEqual([query, []]);
  expect(await idsOf('', stranger)).toEqual([]);
  expect(await idsOf(`&webhook_id=${limited}`, stranger)).toEqual([]);
  const page = await account.call<Page>('GET', '/v1/deliveries?deferred=true&limit=1');
  const rest = await account.call<Page>(
    'GET',
    `/v1/deliveries?deferred=true&cursor=${page.body.next_cursor}`,
  );
  expect([...page.body.data, ...rest.body.data].map(({ id }) => id)).toEqual(deferred);
  const counts = async (who = account) =>
    (await who.call<{ counts: object }>('GET', '/v1/deliveries/counts?deferred=true')).body.counts;
  const none = { pending: 0, retrying: 0, delivered: 0, failed: 0, held: 0, canceled: 0 };
  expect([await counts(), await counts(stranger)]).toEqual([{ ...none, pending: 2 }, none]);
  expect((await account.call('GET', '/v1/deliveries?deferred=false')).status).toBe(422);
  const cancel = (who: typeof account) =>
    who.call<Operation>('POST', '/v1/deliveries/actions', {
      action: 'cancel',
      filter: { deferred: true, since: '2020-01-01T00:00:00Z' },
    });
  expect([(await cancel(stranger)).body.total, (await cancel(account)).body.total]).toEqual([0, 2]);
  await waitForDeliveries(service, account.accountId, 'canceled', 2);
  expect((await account.call<{ status: string }>('GET', `/v1/deliveries/${moved}`)).body.status).toBe(
    'pending',
  );
});
