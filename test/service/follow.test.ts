import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import type { DeliverySummary } from '../../src/contracts/delivery.ts';
import { startProcess } from '../kit/process.ts';
import { startStreamProxy } from '../kit/stream-proxy.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';
import { openStream, type OpenStream } from '../kit/streams.ts';

/** `tail` and `listen` follow lists by the stream of changes, and poll while there is none. */
let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
}, 120_000);
afterAll(() => stopAll(service, receiver));

type Published = { id: string; deliveries: { id: string }[] };

/** An account of its own, with `tail` and `listen` on `apiUrl`. */
async function startFollowing(apiUrl: string) {
  const [{ key }, local] = await Promise.all([service.newAccount(), startReceiver()]);
  onTestFinished(() => local.close());
  const as = <T>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  await as('POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
  const env = { FLTR_API_URL: apiUrl, FLTR_API_KEY: key };
  const tail = startProcess(['tail', '--last', '0', '--json'], env);
  const listen = startProcess(['listen', '--forward-to', local.url], env);
  onTestFinished(async () => {
    for (const each of [tail, listen]) each.kill('SIGINT');
    await Promise.all([tail.exited(), listen.exited()]);
  });

  const published: Published[] = [];
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const publishOne = async () => (await as<Published>('POST', '/v1/events', event)).body;
  const publish = async (count: number) => {
    for (let made = 0; made < count; made += 1) published.push(await publishOne());
  };
  const shown = () =>
    tail
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as DeliverySummary);
  const forwarded = () =>
    local.requests.map(({ body }) => (JSON.parse(body.toString()) as { id: string }).id);
  /** Until both have shown all; then, that nothing was shown twice. */
  const expectAllOnce = async () => {
    const events = published.map(({ id }) => id);
    const deliveries = published.flatMap((each) => each.deliveries.map(({ id }) => id));
    const delivered = () =>
      shown().flatMap(({ id, status }) => (status === 'delivered' && deliveries.includes(id) ? [id] : []));
    const received = () => forwarded().filter((id) => events.includes(id));
    await until(
      () => [delivered(), received()],
      ([ofTail = [], ofListen = []]) =>
        ofTail.length >= deliveries.length && ofListen.length >= events.length,
      60_000,
    );
    expect(delivered().toSorted()).toEqual(deliveries.toSorted());
    expect(received().toSorted()).toEqual(events.toSorted());
    const states = shown().map(({ id, status, attempt_count: attempts }) => `${id} ${status} ${attempts}`);
    expect(new Set(states).size).toBe(states.length);
  };
  // Items that exist when they first read their list are not shown.
  await until(
    async () => {
      await publishOne();
      return [shown().length, forwarded().length];
    },
    (counts) => counts.every((count) => count > 0),
  );
  return { key, tail, listen, publish, expectAllOnce };
}

test('tail and listen use the stream; without one they poll: nothing is shown twice, nothing is missed', async () => {
  const proxy = await startStreamProxy(service.apiUrl);
  onTestFinished(() => proxy.close());
  const { key, publish, expectAllOnce } = await startFollowing(proxy.url);
  const count = (path: string) => proxy.calls.filter((each) => each === path).length;
  const reads = () => count('/v1/deliveries') + count('/v1/events');
  /** Until both have a stream. */
  const untilStreaming = async (before: number) => {
    await until(
      () => count('/v1/stream'),
      (streams) => streams >= before + 2,
      90_000,
    );
    await until(
      () => reads(),
      (first) => first >= 2,
    );
  };
  await untilStreaming(0);
  // As long as the stream is open, and nothing changes, nothing is read: polling would be 8 reads.
  await delay(1500);
  const quiet = reads();
  await delay(4000);
  expect(reads() - quiet).toBeLessThanOrEqual(2);
  await publish(3);
  await expectAllOnce();

  for (const mode of ['cut', 'refuse', 'collect'] as const) {
    await publish(2);
    proxy.treatStreams(mode);
    await publish(2);
    await expectAllOnce();
  }

  // The account has no stream left for them.
  proxy.treatStreams('refuse');
  const others: OpenStream[] = [];
  await until(
    async () => {
      const stream = await openStream(service.apiUrl, key);
      if (stream.status === 200) others.push(stream);
      return others.length;
    },
    (open) => open === 100,
  );
  proxy.treatStreams('pass');
  await publish(3);
  await expectAllOnce();
  for (const each of others) each.close();

  const before = count('/v1/stream');
  await untilStreaming(before);
  await publish(3);
  await expectAllOnce();
}, 240_000);

test('when the process that they call is killed and started again, they continue where they were', async () => {
  const port = await reservePort();
  const apiUrl = `http://127.0.0.1:${port}`;
  const start = async () => {
    const child = startProcess(['api'], { ...service.env, PORT: String(port) });
    await untilReady(apiUrl, child);
    return child;
  };
  let child = await start();
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await child.exited();
  });
  const { tail, listen, publish, expectAllOnce } = await startFollowing(apiUrl);
  await publish(2);
  await expectAllOnce();
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    child.kill(signal);
    await child.exited();
    // More than a page, by another process.
    await publish(signal === 'SIGKILL' ? 120 : 2);
    await until(
      () => [tail.output(), listen.output()],
      (outputs) => outputs.every((output) => output.includes('Trying again until Ctrl-C')),
    );
    child = await start();
    await expectAllOnce();
  }
}, 240_000);

test('a key that was revoked ends them', async () => {
  const { key, tail, listen } = await startFollowing(service.apiUrl);
  const { rows } = await service.pool.query<{ id: string }>(
    `update api_keys set revoked_at = now() where digest = sha256($1::bytea) returning id`,
    [key],
  );
  expect(rows).toHaveLength(1);
  expect([await tail.exited(), await listen.exited()]).toEqual([4, 4]);
}, 120_000);
