import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { findDelivery, type DeliveryRow } from '../../src/db/deliveries-table.ts';
import { archivedTimeline, readStory } from '../../src/temporal/history.ts';
import { publishOne, readDelivery, waitForStatus, workflowStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let responseStatus = 200;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1,600' }),
    startReceiver((_request, response) => {
      response.writeHead(responseStatus, { 'x-from': 'receiver' }).end('response');
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));

/** A webhook and a delivery of an account of its own. */
async function deliver(status: number): Promise<{ service: Service; id: string; webhookId: string }> {
  responseStatus = status;
  const { accountId, key } = await service.newAccount();
  const mine: Service = { ...service, accountId, key, call: (...args) => call(service.apiUrl, key, ...args) };
  const webhook = await mine.call<{ webhook_id: string }>('POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['*'],
  });
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  mine.publish = async () =>
    (await mine.call<Awaited<ReturnType<Service['publish']>>>('POST', '/v1/events', event)).body;
  return { service: mine, id: await publishOne(mine), webhookId: webhook.body.webhook_id };
}

const stories: Record<string, () => Promise<{ service: Service; id: string }>> = {
  async delivered() {
    const made = await deliver(200);
    await waitForStatus(made.service, made.id, 'delivered');
    return made;
  },
  async 'failed at once'() {
    const made = await deliver(404);
    await waitForStatus(made.service, made.id, 'failed');
    return made;
  },
  async 'retried by its timer, then delivered'() {
    const made = await deliver(503);
    await waitForStatus(made.service, made.id, 'retrying', 1);
    responseStatus = 200;
    await waitForStatus(made.service, made.id, 'delivered', 2);
    return made;
  },
  async 'retried by hand until the schedule is used up'() {
    const made = await deliver(503);
    await waitForStatus(made.service, made.id, 'retrying', 2);
    await made.service.call('POST', `/v1/deliveries/${made.id}/retry`);
    await waitForStatus(made.service, made.id, 'failed', 3);
    return made;
  },
  async 'failed, then begun again'() {
    const made = await deliver(410);
    await waitForStatus(made.service, made.id, 'failed');
    responseStatus = 200;
    await made.service.call('POST', `/v1/deliveries/${made.id}/retry`);
    await waitForStatus(made.service, made.id, 'delivered', 2);
    return made;
  },
  async canceled() {
    const made = await deliver(503);
    await waitForStatus(made.service, made.id, 'retrying', 2);
    await made.service.call('POST', `/v1/deliveries/${made.id}/cancel`);
    await waitForStatus(made.service, made.id, 'canceled');
    await workflowStatus(made.service, made.id);
    return made;
  },
  async 'canceled with its webhook'() {
    const made = await deliver(503);
    await waitForStatus(made.service, made.id, 'retrying', 2);
    await made.service.call('DELETE', `/v1/webhooks/${made.webhookId}`);
    await workflowStatus(made.service, made.id);
    return made;
  },
  async 'held and released'() {
    const made = await deliver(503);
    await waitForStatus(made.service, made.id, 'retrying', 2);
    await made.service.call('PATCH', `/v1/webhooks/${made.webhookId}`, { active: false });
    await workflowStatus(made.service, made.id);
    responseStatus = 200;
    await made.service.call('PATCH', `/v1/webhooks/${made.webhookId}`, { active: true });
    await waitForStatus(made.service, made.id, 'delivered', 3);
    return made;
  },
};

const remembered: { mine: Service; id: string; runs: string[]; live: Delivery }[] = [];
const runsOf = (row: DeliveryRow) =>
  row.timeline.flatMap((entry) => (entry.type === 'started' ? [entry.run_id] : []));

test.each(Object.keys(stories))(
  '%s: the log shows the same from history and from the archive',
  async (name) => {
    const made = await stories[name]?.();
    if (!made) throw new Error('no such story');
    const { service: mine, id } = made;
    const row = await findDelivery(mine.pool, mine.accountId, id);
    if (!row) throw new Error('no row');
    const fromHistory = await readStory(mine.temporal, row);
    expect(fromHistory.timeline.length).toBeGreaterThan(3);
    expect(fromHistory.timeline).toEqual(archivedTimeline(row));
    const live = await readDelivery(mine, id);
    expect(fromHistory.attempts.map((attempt) => attempt.id)).toEqual(
      live.attempts.map((attempt) => attempt.id),
    );

    remembered.push({ mine, id, runs: runsOf(row), live });
  },
);

// Temporal takes its time to delete, so all histories go together.
test(
  'past its retention a history is gone: the API shows the same from the archive',
  { timeout: 180_000 },
  async () => {
    expect(remembered).toHaveLength(Object.keys(stories).length);
    const { client, connection, namespace } = service.temporal;
    const gone = remembered.flatMap(({ id, runs }) => runs.map((runId) => ({ workflowId: id, runId })));
    for (const workflowExecution of gone) {
      await connection.workflowService.deleteWorkflowExecution({ namespace, workflowExecution });
    }
    for (const { workflowId, runId } of gone) {
      const isGone = () =>
        client.workflow
          .getHandle(workflowId, runId)
          .describe()
          .then(
            () => false,
            () => true,
          );
      await until(isGone, Boolean, 150_000);
    }
    for (const { mine, id, live } of remembered) expect(await readDelivery(mine, id)).toEqual(live);
  },
);

test('the log is filtered by webhook, type, status, time and code, and paged', async () => {
  const { service: mine, id: ok, webhookId } = await deliver(200);
  await waitForStatus(mine, ok, 'delivered');
  responseStatus = 404;
  const notFound = await publishOne(mine);
  await waitForStatus(mine, notFound, 'failed');
  responseStatus = 503;
  const busy = await publishOne(mine);
  await waitForStatus(mine, busy, 'retrying');
  const list = async (query: string) => {
    const { status, body } = await mine.call<{
      data: { id: string; created_at: string }[];
      next_cursor: string | null;
    }>('GET', `/v1/deliveries${query}`);
    expect(status).toBe(200);
    return body;
  };
  const ids = async (query: string) => (await list(query)).data.map(({ id }) => id);
  expect(await ids('')).toEqual([busy, notFound, ok]);
  expect(await ids(`?webhook_id=${webhookId}`)).toHaveLength(3);
  expect(await ids('?webhook_id=wh_other')).toEqual([]);
  expect(await ids('?event=dataset.created')).toEqual([]);
  expect(await ids('?event=document.deleted&status=failed')).toEqual([notFound]);
  expect(await ids('?code=404')).toEqual([notFound]);
  expect(await ids('?code=5xx')).toEqual([busy]);
  const { data } = await list('');
  const [newest, middle] = [data[0]?.created_at ?? '', data[1]?.created_at ?? ''];
  expect(await ids(`?since=${newest}`)).toEqual([busy]);
  expect(await ids(`?until=${middle}`)).toEqual([ok]);
  expect(await ids(`?since=${middle}&until=${newest}`)).toEqual([notFound]);
  // The same moments, written in other ways: lower case, with an offset whose + is encoded.
  const inOffset = `${new Date(Date.parse(middle) + 3_600_000).toISOString().slice(0, -1)}%2B01:00`;
  expect(await ids(`?since=${inOffset}&until=${newest.toLowerCase()}`)).toEqual([notFound]);
  const space = await mine.call<{ errors: { detail: string }[] }>(
    'GET',
    `/v1/deliveries?since=${inOffset.replace('%2B', '+')}`,
  );
  expect([space.status, JSON.stringify(space.body.errors)]).toEqual([
    422,
    expect.stringContaining('write + as %2B'),
  ]);
  const first = await list('?limit=2');
  expect(await ids(`?limit=2&cursor=${first.next_cursor}`)).toEqual([ok]);
  for (const query of [
    '?code=99',
    '?code=6xx',
    '?status=lost',
    '?since=yesterday',
    '?event=nope',
    '?page=2',
  ]) {
    expect((await mine.call('GET', `/v1/deliveries${query}`)).status).toBe(422);
  }
  await mine.call('POST', `/v1/deliveries/${busy}/cancel`);
});

test('an attempt shows the response, and a link to its workflow', async () => {
  const { service: mine, id } = await deliver(404);
  const delivery = await waitForStatus(mine, id, 'failed');
  expect(delivery.attempts[0]?.response).toMatchObject({
    body: 'response',
    truncated: false,
    headers: { 'x-from': 'receiver' },
  });
  expect(delivery.workflow.id).toBe(id);
  expect(delivery.workflow.url).toBe(
    `http://127.0.0.1:8233/namespaces/${mine.temporal.namespace}/workflows/${id}/${delivery.workflow.run_id}/history`,
  );
});
