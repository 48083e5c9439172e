import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { findDelivery, wakeDeferred } from '../src/db/deliveries.ts';
import { slotTime, windowMs, type LaneBefore } from '../src/domain/hourly-cap.ts';
import { archivedTimeline, readStory } from '../src/temporal/timeline.ts';
import { startProcess } from './kit/process.ts';
import { publishOne, readDelivery, waitForStatus } from './kit/delivery.ts';
import { startReceiver, type Receiver } from './kit/receiver.ts';
import { startService, until, type Service } from './kit/service.ts';

let service: Service;
let receiver: Receiver;
let answerWith = 200;
const cap = 5;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_DELIVERIES_PER_HOUR: String(cap), FLTR_RETRY_SCHEDULE_SECONDS: '1,1,600' }),
    startReceiver((_request, response) => {
      response.writeHead(answerWith).end();
    }),
  ]);
});
afterAll(async () => {
  await service.stop();
  await receiver.close();
});
afterEach(async () => {
  const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks');
  for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
  receiver.requests.length = 0;
  answerWith = 200;
});

/** As if the attempts made so far had been made that much earlier. */
const shift = (webhookId: string, seconds: number) =>
  service.pool.query(
    `update attempts set started_at = started_at - make_interval(secs => $2) where webhook_id = $1`,
    [webhookId, seconds],
  );

test('no hour ever holds more attempts than the cap, and none waits while there is room', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.integer({ min: 0, max: 1_200_000 }), { minLength: 1, maxLength: 60 }),
      (limit, gaps) => {
        const used: number[] = [];
        let arrival = 0;
        for (const gap of gaps) {
          arrival += gap;
          const slot = used.length;
          const before = used[slot - limit];
          const lane: LaneBefore =
            before === undefined
              ? { kind: 'none' }
              : { kind: before > arrival ? 'waiting' : 'used', at: new Date(before) };
          const at = slotTime(lane, new Date(arrival))?.getTime() ?? arrival;
          // Waiting means that the hour before is full.
          if (at > arrival)
            expect(used.filter((time) => time > at - 1 - windowMs && time <= at - 1)).toHaveLength(limit);
          used.push(at);
        }
        expect([...used].sort((a, b) => a - b)).toEqual(used);
        for (const start of used) {
          expect(used.filter((time) => time >= start && time < start + windowMs).length).toBeLessThanOrEqual(
            limit,
          );
        }
      },
    ),
  );
});

test('what is over the cap is deferred to the exact time, in order, and says when', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const ids: string[] = [];
  for (let index = 0; index < cap; index += 1) {
    ids.push(await publishOne(service));
    await waitForStatus(service, ids.at(-1) ?? '', 'delivered');
  }
  const deferred: string[] = [];
  for (let index = 0; index < cap + 2; index += 1) {
    deferred.push(await publishOne(service));
    await until(
      () => readDelivery(service, deferred.at(-1) ?? ''),
      ({ next_attempt_at: at }) => at !== null && Date.parse(at) > Date.now() + 60_000,
    );
  }
  const starts = await Promise.all(
    ids.map(async (id) => Date.parse((await readDelivery(service, id)).attempts[0]?.started_at ?? '')),
  );
  for (const [index, id] of deferred.entries()) {
    const { next_attempt_at: at, status, timeline } = await readDelivery(service, id);
    const expected = (starts[index % cap] ?? 0) + windowMs * (1 + Math.floor(index / cap));
    expect([status, Date.parse(at ?? '')]).toEqual(['pending', expected]);
    expect(timeline.at(-1)).toMatchObject({ type: 'wait', reason: 'hourly_cap', until: at });
  }
  const { body } = await service.call<{ hourly_cap: object }>('GET', `/v1/webhooks/${webhookId}`);
  const [first, last] = [
    await readDelivery(service, deferred[0] ?? ''),
    await readDelivery(service, deferred.at(-1) ?? ''),
  ];
  expect(body.hourly_cap).toEqual({
    limit: cap,
    used: cap,
    next_at: first.next_attempt_at,
    deferred_until: last.next_attempt_at,
  });
  expect(receiver.requests).toHaveLength(cap);

  // Woken before its time, it is deferred to the same time again: a signal cannot go round the cap.
  await service.call('POST', `/v1/deliveries/${deferred[0]}/retry`);
  await until(
    () => readDelivery(service, deferred[0] ?? ''),
    ({ timeline }) => timeline.some(({ type }) => type === 'signal'),
  );
  expect(receiver.requests).toHaveLength(cap);
  const row = await findDelivery(service.pool, service.accountId, deferred[0] ?? '');
  if (!row) throw new Error('no row');
  const told = await until(
    () => readStory(service.temporal, row),
    ({ timeline }) => timeline.length > 0,
  );
  expect(told.timeline.filter(({ type }) => type === 'wait')).toEqual(
    archivedTimeline(row).filter(({ type }) => type === 'wait'),
  );

  // An hour later, those whose time it is go, in order.
  await shift(webhookId, 3600);
  await wakeDeferred(service.pool);
  await until(
    () => receiver.requests.length,
    (count) => count === 2 * cap,
  );
  for (const id of deferred.slice(0, cap)) await waitForStatus(service, id, 'delivered');
  for (const id of deferred.slice(cap)) expect((await readDelivery(service, id)).status).toBe('pending');
});

test('retries take their place under the cap as first attempts do', async () => {
  answerWith = 503;
  await service.newWebhook(receiver.url);
  const [one, two] = [await publishOne(service), await publishOne(service)];
  const attempted = (both: { attempts: unknown[] }[]) =>
    both.reduce((sum, { attempts }) => sum + attempts.length, 0);
  const full = await until(
    () => Promise.all([one, two].map((id) => readDelivery(service, id))),
    // While one is put off, the other one's last attempt may still be under way.
    (both) =>
      attempted(both) >= cap &&
      both.some(
        ({ timeline }) =>
          timeline.at(-1)?.type === 'wait' && JSON.stringify(timeline.at(-1)).includes('hourly_cap'),
      ),
  );
  expect(attempted(full)).toBe(cap);
  expect(full.every(({ status }) => status === 'retrying')).toBe(true);
});

test('a raised cap releases what waits; 0 is no cap; a test event never counts', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  for (let index = 0; index < cap; index += 1)
    await service.call('POST', '/v1/webhooks/test', { webhook_id: webhookId, event: 'document.deleted' });
  const ids = await Promise.all(Array.from({ length: cap + 3 }, () => publishOne(service)));
  await until(
    async () =>
      (
        await service.pool.query(`select 1 from deliveries where slot is not null and webhook_id = $1`, [
          webhookId,
        ])
      ).rowCount,
    (count) => count === 3,
  );
  await service.stopApp();
  const raised = startProcess(['up'], { ...service.env, FLTR_DELIVERIES_PER_HOUR: String(cap + 2) });
  const statuses = async () =>
    (
      await service.pool.query<{ status: string }>(`select status from deliveries where id = any($1)`, [ids])
    ).rows.filter(({ status }) => status === 'delivered').length;
  await until(statuses, (delivered) => delivered === cap + 2);
  raised.kill('SIGTERM');
  await raised.exited();
  const uncapped = startProcess(['up'], { ...service.env, FLTR_DELIVERIES_PER_HOUR: '0' });
  onTestFinished(async () => {
    uncapped.kill('SIGTERM');
    await uncapped.exited();
  });
  await until(statuses, (delivered) => delivered === cap + 3);
  const { body } = (await until(
    () => service.call<{ hourly_cap: null }>('GET', `/v1/webhooks/${webhookId}`).catch(() => null),
    (answer) => answer !== null,
  )) ?? { body: undefined };
  expect(body).toMatchObject({ hourly_cap: null });
});
