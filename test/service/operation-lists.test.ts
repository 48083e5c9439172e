import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Operation } from '../../src/contracts/operation.ts';
import { openAccount, waitForDeliveries } from '../kit/recoveries.ts';
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

  const { body: recovery } = await account.recover(bad, { since: '2020-01-01T00:00:00Z' });
  const operationsOf = async (query: string, who = account) =>
    (await who.call<Page>('GET', `/v1/operations${query}`)).body.data.map(({ id }) => id);
  expect(await operationsOf('')).toEqual([recovery.id, operation.id]);
  expect(await operationsOf(`?webhook_id=${bad}`)).toEqual([recovery.id]);
  expect(await operationsOf(`?webhook_id=${good}`)).toEqual([]);
  // A webhook of another account has none.
  const stolen = await stranger.call<Page>('GET', `/v1/operations?webhook_id=${bad}`);
  expect(stolen.body.data ?? []).toEqual([]);
});
