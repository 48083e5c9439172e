import { afterAll, beforeAll, expect, test } from 'vitest';
import { maxReleased } from '../../src/domain/release.ts';
import { countByStatus, waitForAll } from '../kit/delivery-steps.ts';
import {
  probeNow,
  readPacing,
  readWebhook,
  startFickleReceiver,
  untilPaced,
  untilQuiet,
  type FickleReceiver,
} from '../kit/outages.ts';
import { passTime } from '../kit/pass-time.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

const deliveries = 400;

let service: Service;
let receiver: FickleReceiver;
let bystander: Receiver;
beforeAll(async () => {
  [service, receiver, bystander] = await Promise.all([
    startService({ FLTR_DELIVERIES_PER_HOUR: '0' }),
    startFickleReceiver(),
    startReceiver(),
  ]);
});
afterAll(() => stopAll(service, receiver, bystander));

const numberOf = (body: Buffer): number =>
  Number((JSON.parse(String(body)) as { data: { document_id: string } }).data.document_id);

/** Publishes events with the next numbers. Returns their deliveries' ids. */
let published = 0;
async function publish(count: number): Promise<string[]> {
  const events = Array.from({ length: count }, () => ({
    event: 'document.deleted',
    data: { document_id: String((published += 1)), dataset_id: 's' },
  }));
  const { body } = await service.call<{ data: { deliveries: { id: string }[] }[] }>(
    'POST',
    '/v1/events/batch',
    { events },
  );
  return body.data.flatMap((each) => each.deliveries.map(({ id }) => id));
}

/** The requests of the bystander's webhook: none of its events waits for the other receiver. */
async function expectNoDelay(): Promise<void> {
  const before = bystander.requests.filter(({ path }) => path === '/by').length;
  const at = Date.now();
  await service.publish({ event: 'dataset.deleted', data: { dataset_id: 's' } });
  await until(
    () => bystander.requests.filter(({ path }) => path === '/by').length,
    (count) => count === before + 1,
  );
  expect(Date.now() - at).toBeLessThan(2000);
}

test('an outage with many deliveries: few requests, nothing lost, all delivered in order at the stated rate', async () => {
  await service.newWebhook(`${bystander.url}/by`, { events: ['dataset.deleted'] });
  await service.newWebhook(`${bystander.url}/ops`, { events: ['webhook.*'] });
  const { webhook_id: id } = await service.newWebhook(receiver.url, {
    events: ['document.deleted'],
    probe_when_down: true,
  });
  const isOps = ({ path }: { path: string }) => path === '/ops';
  const ops = () =>
    bystander.requests
      .filter(isOps)
      .map(({ body }) => JSON.parse(String(body)) as { event: string; data: Record<string, unknown> });

  const ids = await publish(5);
  await waitForAll(service, ids, 'delivered', 1);
  receiver.behave('down');
  for (let batch = 0; batch < 4; batch += 1) ids.push(...(await publish(deliveries / 8)));
  await untilPaced(service, id);
  await expectNoDelay();
  // 20, and those that were under way when the 20th had failed.
  expect(receiver.refused()).toBeLessThan(80);

  const intervals = [60, 300, 900, 900];
  for (const [index, seconds] of intervals.entries()) {
    const before = receiver.refused();
    const pacing = await probeNow(service, id, receiver);
    await untilQuiet(service, id);
    expect([receiver.refused(), pacing.probes]).toEqual([before + 1, index + 1]);
    expect(pacing.inSeconds).toBeGreaterThan(seconds - 10);
    expect(pacing.inSeconds).toBeLessThanOrEqual(seconds);
    if (index < 4) ids.push(...(await publish(deliveries / 8)));
    await untilQuiet(service, id);
    expect(receiver.refused()).toBe(before + 1);
    await expectNoDelay();
  }
  await until(ops, (events) => events.length === 1);
  const { health } = await readWebhook(service, id);
  expect(health.state).toBe('down');
  const [down] = ops();
  expect(down).toMatchObject({ event: 'webhook.down', data: { webhook_id: id } });
  // The time in the row has moved back with the others if the event came before the last interval.
  const movedMs = Date.parse(String(down?.data['since'])) - Date.parse(health.since ?? '');
  expect(movedMs).toBeGreaterThanOrEqual(0);
  expect(movedMs).toBeLessThan(3_600_000);
  expect(Date.parse(health.next_probe_at ?? '') - Date.now()).toBeGreaterThan(800_000);

  // No delivery has used more than one retry of its schedule: those whose attempt failed before the pacing began.
  const { rows: used } = await service.pool.query<{ retries: number }>(
    `select max(retries_used) as retries from deliveries where webhook_id = $1`,
    [id],
  );
  expect(used).toEqual([{ retries: 1 }]);
  // By now all of these have come to the queue.
  await passTime(service.pool, 70);
  await untilQuiet(service, id);
  expect(receiver.refused()).toBeLessThan(100);

  receiver.behave('up');
  const upAt = receiver.requests.length;
  await probeNow(service, id, receiver);
  await until(
    () => countByStatus(service.pool),
    ({ pending = 0, retrying = 0 }) => pending + retrying === 0,
  );
  const { rows: ended } = await service.pool.query(
    `select distinct status from deliveries where webhook_id = $1`,
    [id],
  );
  expect(ended).toEqual([{ status: 'delivered' }]);
  // Each exactly once, in order: those of the same moment may swap.
  const numbers = receiver.taken.map(({ body }) => numberOf(body));
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: published }, (_, n) => n + 1));
  // So many are on their way at once.
  const displacements = numbers.map((number, index) => Math.abs(number - 1 - index));
  expect(Math.max(...displacements)).toBeLessThanOrEqual(maxReleased);
  // 1, 2, 4, … in each second since the first one.
  const times = receiver.requests.slice(upAt).map(({ at }) => at.getTime());
  const first = times[0] ?? 0;
  for (let second = 0; second < 8; second += 1) {
    const sent = times.filter((at) => at - first < (second + 1) * 1000).length;
    expect([second, sent <= 2 ** (second + 1) + 2]).toEqual([second, true]);
  }
  await until(ops, (events) => events.length === 2);
  expect(ops()[1]).toMatchObject({
    event: 'webhook.recovered',
    // Its time has moved with the others.
    data: { webhook_id: id, down_since: expect.any(String) as string },
  });
  const after = await readPacing(service, id);
  expect([after.nextProbeAt, after.probes]).toEqual([null, 0]);
  await expectNoDelay();
});
