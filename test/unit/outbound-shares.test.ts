import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { createAddressGuard } from '../../src/outbound/address-guard.ts';
import { SenderBusy } from '../../src/outbound/sender-busy.ts';
import { createSender, type Sender, type SenderOptions } from '../../src/outbound/sender.ts';
import { startReceiver } from '../kit/raw-receiver.ts';

const guard = createAddressGuard({ production: false, allowedCidrs: [] });
const body = Buffer.from('{}');

function makeSender(options: Partial<SenderOptions>): Sender {
  const sender = createSender({ guard, timeoutMs: 20_000, ...options });
  onTestFinished(() => sender.close());
  return sender;
}

/** Responds to `/slow` after `slowMs`, or once `release` is called; to all else at once. */
async function startSlow(slowMs?: number) {
  let underWay = 0;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const receiver = await startReceiver((request, response) => {
    if (request.url !== '/slow') return void response.end();
    underWay += 1;
    response.on('close', () => (underWay -= 1));
    void (slowMs === undefined ? released : sleep(slowMs)).then(() => response.end());
  });
  return { ...receiver, slowUnderWay: () => underWay, release: () => release() };
}

test('the time limit and the duration do not begin before the attempt has its connection', async () => {
  const { origin } = await startSlow(300);
  // Five in turn take longer than one may.
  const sender = makeSender({ timeoutMs: 1_400, connectionsPerOrigin: 1 });
  const before = Date.now();
  const signedAt: number[] = [];
  const results = await Promise.all(
    Array.from({ length: 5 }, () =>
      sender.send({
        url: `${origin}/slow`,
        accountId: 'acc_1',
        headers: (startedAt) => {
          signedAt.push(startedAt.getTime());
          return { 'X-Signed-At': startedAt.toISOString() };
        },
        body,
      }),
    ),
  );
  for (const [n, result] of results.entries()) {
    expect(result).toMatchObject({ kind: 'responded', statusCode: 200 });
    expect(result.startedAt.getTime() - before).toBeGreaterThanOrEqual(n * 290);
  }
  // With the waits, they would add up to three times that.
  const durationsMs = results.reduce((sum, { durationMs }) => sum + durationMs, 0);
  expect(durationsMs).toBeLessThan(1.5 * (Date.now() - before));
  expect(results.map(({ startedAt }) => startedAt.getTime())).toEqual(signedAt);
});

test('an attempt that has waited 3 s for a connection is postponed, and nothing was sent', async () => {
  const { origin, connectionCount, release } = await startSlow();
  const sender = makeSender({ timeoutMs: 60_000, connectionsPerOrigin: 1 });
  const request = { url: `${origin}/slow`, accountId: 'acc_1', headers: {}, body };
  const first = sender.send(request);
  const startedAt = performance.now();
  await expect(sender.send(request)).rejects.toThrow(SenderBusy);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(2_900);
  release();
  expect(await first).toMatchObject({ kind: 'responded', statusCode: 200 });
  expect(connectionCount()).toBe(1);
});

test('an account whose requests hang leaves half of an origin’s connections to others', async () => {
  const { origin, slowUnderWay, release } = await startSlow();
  const sender = makeSender({ connectionsPerOrigin: 8 });
  const send = (path: string, accountId: string) =>
    sender.send({ url: origin + path, accountId, headers: {}, body });
  const slow = Array.from({ length: 8 }, () => send('/slow', 'acc_1'));
  await expect.poll(slowUnderWay).toBe(4);
  for (let n = 0; n < 5; n += 1) {
    expect(await send('/', 'acc_2')).toMatchObject({ statusCode: 200 });
  }
  expect(slowUnderWay()).toBe(4);
  release();
  for (const result of await Promise.all(slow)) expect(result).toMatchObject({ statusCode: 200 });
});

test('a connection that becomes free goes to the account that has the fewest', async () => {
  const { origin, slowUnderWay } = await startSlow(400);
  const sender = makeSender({ connectionsPerOrigin: 4 });
  const ended: string[] = [];
  const send = async (accountId: string) => {
    await sender.send({ url: `${origin}/slow`, accountId, headers: {}, body });
    ended.push(accountId);
  };
  const early = ['acc_1', 'acc_1', 'acc_1', 'acc_1', 'acc_2', 'acc_2', 'acc_2', 'acc_2'].map(send);
  await expect.poll(slowUnderWay).toBe(4);
  const late = send('acc_3');
  await Promise.all([...early, late]);
  // It came last, and waited for one round only.
  expect(ended.indexOf('acc_3')).toBeLessThan(8);
  expect(ended.slice(0, 4).sort()).toEqual(['acc_1', 'acc_1', 'acc_2', 'acc_2']);
});

test('test events of an account have four connections to an origin, and deliveries theirs', async () => {
  const { origin, slowUnderWay, release } = await startSlow();
  const sender = makeSender({ connectionsPerOrigin: 20 });
  const send = (path: string, accountId: string, isTest: boolean) =>
    sender.send({ url: origin + path, accountId, isTest, headers: {}, body });
  const tests = Array.from({ length: 8 }, () => send('/slow', 'acc_1', true));
  await expect.poll(slowUnderWay).toBe(4);
  await sleep(100);
  expect(slowUnderWay()).toBe(4);
  for (const [accountId, isTest] of [
    ['acc_1', false],
    ['acc_2', true],
    ['acc_2', false],
  ] as const) {
    expect(await send('/', accountId, isTest)).toMatchObject({ statusCode: 200 });
  }
  expect(slowUnderWay()).toBe(4);
  release();
  for (const result of await Promise.all(tests)) expect(result).toMatchObject({ statusCode: 200 });
});
