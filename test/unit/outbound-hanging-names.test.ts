import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createAddressGuard, type AddressGuard } from '../../src/outbound/address-guard.ts';
import { createHostNames, type HostNames } from '../../src/outbound/host-names.ts';
import type { Progress } from '../../src/outbound/progress.ts';
import type { Lookup } from '../../src/outbound/resolver.ts';
import { SenderBusy } from '../../src/outbound/sender-busy.ts';
import { createSender, type Sender, type SenderOptions, type SendResult } from '../../src/outbound/sender.ts';
import { useFakeClock } from '../kit/fake-clock.ts';
import { startNameServer } from '../kit/name-server.ts';
import { makeCertificate, startReceiver } from '../kit/raw-receiver.ts';

const guard = createAddressGuard({ production: true, allowedCidrs: [] });
const open: AddressGuard = { ...guard, checkAddress: (address) => address === '127.0.0.1' };
const body = Buffer.from('{}');

function makeSender(options: Partial<SenderOptions>): Sender {
  const sender = createSender({ guard: open, timeoutMs: 5_000, ...options });
  onTestFinished(() => sender.close());
  return sender;
}

const outcome = (result: SendResult): string | number =>
  result.kind === 'responded' ? result.statusCode : result.code;

/** A receiver at `*.good.test`; `*.hang.test` is never found. */
async function startBoth() {
  const certificate = makeCertificate(['*.good.test']);
  const { port } = await startReceiver((_request, response) => {
    // A new connection for each attempt, so that each needs the name.
    response.setHeader('Connection', 'close').end();
  }, certificate);
  let isMended = false;
  const server = await startNameServer((name) =>
    name.endsWith('.hang.test') && !isMended ? 'silence' : ['127.0.0.1'],
  );
  const mend = () => (isMended = true);
  return { ...server, port, mend, ca: certificate.cert };
}

test('hanging names keep no attempt of a healthy one waiting, of the same account or of another', async () => {
  const { nameServers, port, ca } = await startBoth();
  const sender = makeSender({ nameServers, ca, keepNamesMs: 0 });
  const send = (host: string, accountId: string) =>
    sender.send({ url: `https://${host}:${port}/`, accountId, headers: {}, body });
  const sendHealthy = async () => {
    const startedAt = performance.now();
    for (const [n, accountId] of ['acc_1', 'acc_2'].entries()) {
      const result = await send(`n${n}.good.test`, accountId);
      expect(outcome(result)).toBe(200);
    }
    return performance.now() - startedAt;
  };
  await sendHealthy();
  const alone = Math.min(await sendHealthy(), await sendHealthy());

  const hanging = Array.from({ length: 24 }, (_, n) => send(`n${n}.hang.test`, 'acc_1'));
  const beside: number[] = [];
  for (let n = 0; n < 20; n += 1) beside.push(await sendHealthy());
  const codes = (await Promise.all(hanging)).map(outcome);
  expect(codes).toEqual(Array.from({ length: 24 }, () => 'timeout_dns'));
  expect(Math.min(...beside)).toBeLessThan(alone * 5 + 50);
  // One of them alone would wait for 5 s.
  expect(Math.max(...beside)).toBeLessThan(4_500);
});

test('a name that hung fails at once for a while, and works as soon as that is over', async () => {
  const { nameServers, port, mend, queries, ca } = await startBoth();
  const sender = makeSender({ nameServers, ca, timeoutMs: 400 });
  const send = () =>
    sender.send({ url: `https://a.hang.test:${port}/`, accountId: 'acc_1', headers: {}, body });
  const slow = await send();
  expect(outcome(slow)).toBe('timeout_dns');
  expect(slow.durationMs).toBeGreaterThanOrEqual(350);
  const count = queries.length;
  const quick = await send();
  expect(outcome(quick)).toBe('timeout_dns');
  expect(quick.durationMs).toBeLessThan(slow.durationMs);
  expect(queries).toHaveLength(count);
  mend();
  // The cache reads the clock once a millisecond.
  await delay(10);
  const now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => now + 16_000);
  onTestFinished(() => void vi.restoreAllMocks());
  expect(await send()).toMatchObject({ code: 'tls_certificate' });
});

/** Lookups that end only when the test ends them. */
function openLookups() {
  const running = new Map<string, (addresses: string[]) => void>();
  const canceled: string[] = [];
  const lookup: Lookup = (host) => ({
    addresses: new Promise((resolve) => {
      running.set(host, (found) => resolve(found.map((address) => ({ address, family: 4 }))));
    }),
    cancel: () => {
      canceled.push(host);
      running.delete(host);
    },
  });
  const finish = (host: string) => running.get(host)?.(['192.0.2.1']);
  return { lookup, running, canceled, finish };
}

function attempt(names: HostNames, host: string, accountId: string, isTest = false) {
  const progress: Progress = { phase: 'wait', ended: undefined, onEnd: undefined };
  const found = names
    .prepare(host, { accountId, isTest }, progress)
    .then((find) => find(progress))
    .then((addresses) => addresses.length)
    .catch((error: unknown) => error);
  return { found, end: () => progress.onEnd?.(new Error('over')) };
}

const afterImmediate = () => new Promise((resolve) => void setImmediate(resolve));

test('an account has 32 lookups under way, and further ones wait without delaying other accounts', async () => {
  const { lookup, running, finish } = openLookups();
  const names = createHostNames({ lookup, keepMs: 0, limitMs: 60_000 });
  const first = Array.from({ length: 32 }, (_, n) => attempt(names, `${n}.a`, 'acc_1'));
  const waiting = ['x.a', 'y.a'].map((host) => attempt(names, host, 'acc_1'));
  const other = attempt(names, 'b', 'acc_2');
  await afterImmediate();
  expect(running.size).toBe(33);
  expect(['x.a', 'y.a'].filter((host) => running.has(host))).toEqual([]);
  finish('b');
  expect(await other.found).toBe(1);
  finish('0.a');
  expect(await first[0]?.found).toBe(1);
  await afterImmediate();
  expect([running.has('x.a'), running.has('y.a')]).toEqual([true, false]);
  // One more attempt at a name that is being looked up needs no slot.
  const joined = attempt(names, '1.a', 'acc_1');
  finish('1.a');
  expect(await Promise.all([first[1]?.found, joined.found])).toEqual([1, 1]);
  await afterImmediate();
  expect(running.has('y.a')).toBe(true);
  for (const host of running.keys()) finish(host);
  expect(await Promise.all([...first, ...waiting].map(({ found }) => found))).toEqual(
    Array.from({ length: 34 }, () => 1),
  );
});

test('accounts that fill all lookup slots delay their own lookups, not those of an account with few', async () => {
  const { lookup, running, finish } = openLookups();
  const names = createHostNames({ lookup, keepMs: 0, limitMs: 60_000 });
  for (let n = 0; n < 1_100; n += 1) void attempt(names, `${n}.a`, `acc_${n % 35}`);
  await afterImmediate();
  expect(running.size).toBe(1_000);
  const small = attempt(names, 'small', 'acc_small');
  await afterImmediate();
  expect(running.has('small')).toBe(false);
  finish('0.a');
  await afterImmediate();
  expect(running.has('small')).toBe(true);
  finish('small');
  expect(await small.found).toBe(1);
});

test('beyond the limit of waiting lookups an attempt is postponed at once', async () => {
  const { lookup } = openLookups();
  const names = createHostNames({ lookup, keepMs: 0, limitMs: 60_000 });
  for (let n = 0; n < 32 + 200; n += 1) void attempt(names, `${n}.a`, 'acc_1');
  expect(await attempt(names, 'more.a', 'acc_1').found).toBeInstanceOf(SenderBusy);
});

test('a lookup ends when the last of its attempts has gone, and frees its slot', async () => {
  const { lookup, running, canceled } = openLookups();
  const names = createHostNames({ lookup, keepMs: 0, limitMs: 60_000 });
  const attempts = Array.from({ length: 32 }, (_, n) => attempt(names, `${n}.a`, 'acc_1'));
  const second = attempt(names, '0.a', 'acc_1');
  const waiting = attempt(names, 'x.a', 'acc_1');
  await afterImmediate();
  attempts[0]?.end();
  await afterImmediate();
  expect(canceled).toEqual([]);
  second.end();
  await afterImmediate();
  expect(canceled).toEqual(['0.a']);
  expect(running.has('x.a')).toBe(true);
  waiting.end();
  await afterImmediate();
  expect(canceled).toEqual(['0.a', 'x.a']);
});

test('of the attempts that wait for a slow lookup one continues, and test events', async () => {
  useFakeClock();
  const { lookup, finish } = openLookups();
  const names = createHostNames({ lookup, keepMs: 0, limitMs: 5_000 });
  const first = attempt(names, 'slow', 'acc_1');
  const second = attempt(names, 'slow', 'acc_1');
  const byHand = attempt(names, 'slow', 'acc_1', true);
  await afterImmediate();
  vi.advanceTimersByTime(1_000);
  expect(await second.found).toBeInstanceOf(SenderBusy);
  expect(await attempt(names, 'slow', 'acc_2').found).toBeInstanceOf(SenderBusy);
  finish('slow');
  expect(await Promise.all([first.found, byHand.found])).toEqual([1, 1]);
});

test('only a failure that took long is kept, for 15 s', async () => {
  useFakeClock();
  let lookups = 0;
  const lookup: Lookup = () => {
    lookups += 1;
    const delayMs = lookups === 1 ? 999 : 1_001;
    return {
      addresses: new Promise((_resolve, reject) => {
        setTimeout(() => reject(new Error(`failure ${lookups}`)), delayMs);
      }),
      cancel: () => {},
    };
  };
  const names = createHostNames({ lookup, keepMs: 0, limitMs: 5_000 });
  const fail = async (milliseconds: number) => {
    const { found } = attempt(names, 'a', 'acc_1');
    await afterImmediate();
    vi.advanceTimersByTime(milliseconds);
    return ((await found) as Error).message;
  };
  expect(await fail(999)).toBe('failure 1');
  expect(await fail(1_001)).toBe('failure 2');
  expect(await fail(14_999)).toBe('failure 2');
  expect(lookups).toBe(2);
  vi.advanceTimersByTime(2);
  expect(await fail(1_001)).toBe('failure 3');
});
