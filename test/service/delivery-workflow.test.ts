import { defaultPayloadConverter } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { publishOne, readDelivery, waitForStatus, workflowStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let responseStatus = 200;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService(),
    startReceiver((_request, response) => {
      response.writeHead(responseStatus).end();
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));
afterEach(async () => {
  const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks');
  for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
  responseStatus = 200;
  receiver.requests.length = 0;
});

const historyOf = async (id: string) =>
  (await service.temporal.client.workflow.getHandle(id).fetchHistory()).events ?? [];

const timersOf = (events: Awaited<ReturnType<typeof historyOf>>) =>
  events.flatMap(({ timerStartedEventAttributes: timer }) =>
    timer ? [Number(timer.startToFireTimeout?.seconds)] : [],
  );

test('with the default schedule the history shows timers of 60, 300 and 1,800 s, then Failed', async () => {
  responseStatus = 503;
  await service.newWebhook(receiver.url);
  const id = await publishOne(service);
  for (const [attempts, seconds] of [
    [1, 60],
    [2, 300],
    [3, 1800],
  ] as const) {
    const waiting = await waitForStatus(service, id, 'retrying', attempts);
    expect(waiting.timeline.at(-1)).toMatchObject({ type: 'wait', seconds });
    // The row has it a moment before the workflow waits. A request in between is served without a timer.
    await until(
      async () => timersOf(await historyOf(id)),
      (timers) => timers.includes(seconds),
    );
    expect((await service.call('POST', `/v1/deliveries/${id}/retry`)).status).toBe(202);
  }
  const failed = await waitForStatus(service, id, 'failed', 4);
  expect(failed.reason).toBe('retries_exhausted');
  expect(await workflowStatus(service, id)).toBe('FAILED');
  const events = await historyOf(id);
  expect(timersOf(events)).toEqual([60, 300, 1800]);
  const summaries = events.flatMap(({ userMetadata, timerCanceledEventAttributes: canceled }) =>
    userMetadata?.summary && !canceled
      ? [defaultPayloadConverter.fromPayload<string>(userMetadata.summary)]
      : [],
  );
  expect(summaries).toEqual([
    expect.stringContaining('document.deleted to wh_'),
    'attempt 1 of 4',
    'retry 1 in 60 s',
    'attempt 2 of 4',
    'retry 2 in 300 s',
    'attempt 3 of 4',
    'retry 3 in 1800 s',
    'attempt 4 of 4',
  ]);
  const failure = events.at(-1)?.workflowExecutionFailedEventAttributes?.failure;
  expect(failure?.applicationFailureInfo).toMatchObject({ type: 'retries_exhausted', nonRetryable: true });
  const signals = failed.timeline.filter(({ type }) => type === 'signal');
  expect(signals).toHaveLength(3);
  expect(
    signals.every(
      (entry) => entry.type === 'signal' && entry.name === 'retryNow' && entry.by.startsWith('key_'),
    ),
  ).toBe(true);
  // Each attempt's request has the same body and event id, and an id of its own.
  expect(new Set(receiver.requests.map(({ body }) => body.toString())).size).toBe(1);
  expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  expect(receiver.requests.map(({ headers }) => headers['x-fltr-delivery'])).toEqual(
    failed.attempts.map((attempt) => attempt.id),
  );
});

test('a failed delivery runs again under the same workflow id, with one attempt and a fresh schedule', async () => {
  responseStatus = 404;
  await service.newWebhook(receiver.url);
  const id = await publishOne(service);
  await waitForStatus(service, id, 'failed');
  responseStatus = 503;
  expect((await service.call<{ status: string }>('POST', `/v1/deliveries/${id}/retry`)).body.status).toMatch(
    /pending|retrying/,
  );
  const waiting = await waitForStatus(service, id, 'retrying', 2);
  expect(waiting.timeline.at(-1)).toMatchObject({ type: 'wait', seconds: 60 });
  responseStatus = 200;
  await service.call('POST', `/v1/deliveries/${id}/retry`);
  const delivered = await waitForStatus(service, id, 'delivered', 3);
  expect(delivered.timeline.map(({ type }) => type)).toEqual([
    'accepted',
    'started',
    'attempt',
    'ended',
    // The request comes first: it starts the run.
    'signal',
    'started',
    'attempt',
    'wait',
    'signal',
    'attempt',
    'ended',
  ]);
  expect(delivered.attempts.map(({ number }) => number)).toEqual([1, 2, 3]);
});

test('a delivered one is sent again only by force', async () => {
  await service.newWebhook(receiver.url);
  const id = await publishOne(service);
  await waitForStatus(service, id, 'delivered');
  const refused = await service.call<{ code: string }>('POST', `/v1/deliveries/${id}/retry`);
  expect([refused.status, refused.body.code]).toEqual([409, 'delivery_state_conflict']);
  expect((await service.call('POST', `/v1/deliveries/${id}/retry?force=true`)).status).toBe(202);
  await waitForStatus(service, id, 'delivered', 2);
  expect(receiver.requests).toHaveLength(2);
});

test('a retry requested at the very moment a wait begins is not lost', async () => {
  responseStatus = 503;
  await service.newWebhook(receiver.url);
  const ids = await Promise.all(Array.from({ length: 20 }, () => publishOne(service)));
  await Promise.all(
    ids.map(async (id, index) => {
      const read = () =>
        service.pool.query<{ status: string }>(`select status from deliveries where id = $1`, [id]);
      await until(read, ({ rows }) => rows[0]?.status === 'retrying');
      if (index % 2 === 0) await service.call('POST', `/v1/deliveries/${id}/retry`);
      else {
        // Its own workflow may have to be started yet, by the group that made the first attempt.
        const own = service.temporal.client.workflow.getHandle(id);
        await until(
          () =>
            own.signal('retryNow').then(
              () => true,
              () => false,
            ),
          Boolean,
        );
      }
    }),
  );
  for (const id of ids) await waitForStatus(service, id, 'retrying', 2);
});

test.each([
  [200, 'delivered'],
  [404, 'failed'],
] as const)('a retry requested at the very moment a run ends is not lost (%s)', async (status, end) => {
  responseStatus = status;
  await service.newWebhook(receiver.url);
  const ids = await Promise.all(Array.from({ length: 20 }, () => publishOne(service)));
  await Promise.all(
    ids.map(async (id) => {
      const read = () =>
        service.pool.query<{ status: string }>(`select status from deliveries where id = $1`, [id]);
      await until(read, ({ rows }) => rows[0]?.status === end);
      await service.call('POST', `/v1/deliveries/${id}/retry?force=true`);
    }),
  );
  for (const id of ids) {
    const again = await waitForStatus(service, id, end, 2);
    expect(again.timeline.filter(({ type }) => type === 'signal')).toHaveLength(1);
  }
});

test('20 manual retries at once make one attempt, and none is an error', async () => {
  responseStatus = 404;
  await service.newWebhook(receiver.url);
  const id = await publishOne(service);
  await waitForStatus(service, id, 'failed');
  responseStatus = 503;
  const responses = await Promise.all(
    Array.from({ length: 20 }, () => service.call('POST', `/v1/deliveries/${id}/retry`)),
  );
  expect(responses.every(({ status }) => status === 202)).toBe(true);
  // Retries requested while it waited again were meant: at most one attempt each, never two at once.
  const { attempts } = await waitForStatus(service, id, 'retrying');
  for (const [index, attempt] of attempts.entries()) {
    const before = attempts[index - 1];
    if (before)
      expect(Date.parse(attempt.started_at)).toBeGreaterThanOrEqual(
        Date.parse(before.started_at) + before.duration_ms,
      );
  }
});

test('a waiting delivery uses the URL that its webhook has by then', async () => {
  responseStatus = 503;
  const { webhook_id: webhookId } = await service.newWebhook(`${receiver.url}/old`);
  const id = await publishOne(service);
  await waitForStatus(service, id, 'retrying');
  responseStatus = 200;
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { url: `${receiver.url}/new` });
  await service.call('POST', `/v1/deliveries/${id}/retry`);
  await waitForStatus(service, id, 'delivered', 2);
  expect(receiver.requests.map(({ path }) => path)).toEqual(['/old', '/new']);
});

test('cancel ends a waiting delivery, by a signal to its workflow', async () => {
  responseStatus = 503;
  await service.newWebhook(receiver.url);
  const id = await publishOne(service);
  await waitForStatus(service, id, 'retrying');
  expect((await service.call('POST', `/v1/deliveries/${id}/cancel`)).status).toBe(202);
  const canceled = await waitForStatus(service, id, 'canceled');
  expect(canceled).toMatchObject({ reason: 'canceled', next_attempt_at: null });
  expect(canceled.timeline.slice(-2)).toMatchObject([
    { type: 'signal', name: 'cancel' },
    { type: 'ended', status: 'canceled' },
  ]);
  expect(await workflowStatus(service, id)).toBe('COMPLETED');
  expect((await service.call('POST', `/v1/deliveries/${id}/cancel`)).status).toBe(409);
});

test('signals from the Web UI work too, and a cancellation there ends the delivery', async () => {
  responseStatus = 503;
  await service.newWebhook(receiver.url);
  const id = await publishOne(service);
  await waitForStatus(service, id, 'retrying', 1);
  const handle = service.temporal.client.workflow.getHandle(id);
  await handle.signal('retryNow');
  const again = await waitForStatus(service, id, 'retrying', 2);
  expect(again.timeline.find(({ type }) => type === 'signal')).toMatchObject({ by: 'temporal' });
  expect(await handle.query('state')).toMatchObject({
    phase: 'waiting',
    attempts: 2,
    nextAttemptAt: again.next_attempt_at,
  });
  await handle.cancel();
  await waitForStatus(service, id, 'canceled');
  expect(await workflowStatus(service, id)).toBe('CANCELLED');
});

test('deleting a webhook cancels its waiting deliveries, and their workflows', async () => {
  responseStatus = 503;
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const id = await publishOne(service);
  await waitForStatus(service, id, 'retrying');
  await service.call('DELETE', `/v1/webhooks/${webhookId}`);
  expect(await readDelivery(service, id)).toMatchObject({ status: 'canceled', reason: 'webhook_deleted' });
  expect(await workflowStatus(service, id)).toBe('COMPLETED');
  expect((await service.call('POST', `/v1/deliveries/${id}/retry`)).status).toBe(409);
});

test('an inactive webhook: waiting and new deliveries are held, and delivered once it is active again', async () => {
  responseStatus = 503;
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const waiting = await publishOne(service);
  await waitForStatus(service, waiting, 'retrying');
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
  expect(await readDelivery(service, waiting)).toMatchObject({ status: 'held', next_attempt_at: null });
  const { deliveries } = await service.publish();
  expect(deliveries).toMatchObject([{ status: 'held' }]);
  const held = deliveries[0]?.id ?? '';
  expect(await workflowStatus(service, waiting)).toBe('COMPLETED');
  expect((await service.call('POST', `/v1/deliveries/${held}/retry`)).status).toBe(409);
  responseStatus = 200;
  expect(receiver.requests).toHaveLength(1);
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: true });
  const [first, second] = [
    await waitForStatus(service, waiting, 'delivered'),
    await waitForStatus(service, held, 'delivered'),
  ];
  expect(first.timeline.map(({ type }) => type)).toEqual([
    'accepted',
    'started',
    'attempt',
    'wait',
    'held',
    'released',
    'started',
    'attempt',
    'ended',
  ]);
  expect(second.timeline.map(({ type }) => type)).toEqual([
    'accepted',
    'held',
    'released',
    'started',
    'attempt',
    'ended',
  ]);
});

test('a workflow terminated in Temporal ends its delivery canceled; one that is lost is started again', async () => {
  responseStatus = 503;
  await service.newWebhook(receiver.url);
  const [terminated, lost] = [await publishOne(service), await publishOne(service)];
  await waitForStatus(service, terminated, 'retrying');
  await waitForStatus(service, lost, 'retrying');
  const { client, connection, namespace } = service.temporal;
  await client.workflow.getHandle(terminated).terminate('by an operator');
  await connection.workflowService.deleteWorkflowExecution({
    namespace,
    workflowExecution: { workflowId: lost },
  });
  await until(
    () =>
      client.workflow
        .getHandle(lost)
        .describe()
        .then(
          () => false,
          () => true,
        ),
    Boolean,
  );
  responseStatus = 200;
  // As the reconciler finds them once their time has passed.
  await service.pool.query(
    `update deliveries set next_attempt_at = now(), reconcile_at = now() where id = any($1)`,
    [[terminated, lost]],
  );
  expect(await waitForStatus(service, terminated, 'canceled')).toMatchObject({ reason: 'terminated' });
  expect(await waitForStatus(service, lost, 'delivered')).toMatchObject({
    attempts: [{ number: 1 }, { number: 2 }],
  });
});

test('each delivery is found by its search attributes, and is described in the Web UI', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const { id: eventId, deliveries } = await service.publish();
  const id = deliveries[0]?.id ?? '';
  await waitForStatus(service, id, 'delivered');
  for (const [name, value] of Object.entries({
    FltrAccount: service.accountId,
    FltrWebhook: webhookId,
    FltrEvent: eventId,
    FltrDelivery: id,
  })) {
    const found = await until(
      async () => {
        const ids: string[] = [];
        for await (const { workflowId } of service.temporal.client.workflow.list({
          query: `${name} = '${value}'`,
        }))
          ids.push(workflowId);
        return ids;
      },
      (ids) => ids.includes(id),
    );
    if (name === 'FltrDelivery' || name === 'FltrEvent') expect(found).toEqual([id]);
  }
  const byType = service.temporal.client.workflow.list({
    query: `FltrEventType = 'document.deleted' and FltrDelivery = '${id}'`,
  });
  for await (const { type } of byType) expect(type).toBe('deliverEvent');
});

test('a test event goes out at once, signed and marked, and counts nowhere', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  // As the documentation prints it: curl, and no JSON content type.
  const response = await service.call<{
    attempt: { status_code: number; outcome: string };
    event_id: string;
  }>(
    'POST',
    '/v1/webhooks/test',
    { webhook_id: webhookId, event: 'document.processed' },
    { 'content-type': 'application/x-www-form-urlencoded' },
  );
  expect(response.body).toMatchObject({ attempt: { status_code: 200, outcome: 'delivered' } });
  expect(receiver.requests[0]?.headers).toMatchObject({
    'x-fltr-test': 'true',
    'x-fltr-event': 'document.processed',
    'webhook-id': response.body.event_id,
  });
  responseStatus = 500;
  const failed = await service.call<{ attempt: { outcome: string; error: { code: string } } }>(
    'POST',
    '/v1/webhooks/test',
    { webhook_id: webhookId, event: 'dataset.deleted' },
  );
  expect(failed.body).toMatchObject({ attempt: { outcome: 'failed', error: { code: 'server_error' } } });
  const { rows } = await service.pool.query(`select 1 from deliveries where webhook_id = $1`, [webhookId]);
  expect(rows).toEqual([]);
});
