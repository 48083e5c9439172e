import { expect, onTestFinished, test, vi } from 'vitest';
import { policyOf } from '../../bench/torture-policies.ts';
import {
  bearerToken,
  countOutOfOrder,
  manners,
  startTortureReceiver,
  type Demand,
  type Manner,
} from '../../bench/torture-receiver.ts';

test('requests that came before an earlier event of their order key, or beside another one, are counted', () => {
  const firstRequests = new Map([
    [1, ['evt_0_1', 'evt_1_2', 'evt_0_9', 'evt_0_8', 'evt_1_3', 'evt_01k8outbox']],
    [2, ['evt_0_2', 'evt_0_1']],
  ]);
  const overlaps = [
    { webhook: 1, event: 'evt_0_9' },
    { webhook: 2, event: 'evt_0_2' },
    // Without an order key.
    { webhook: 1, event: 'evt_01k8outbox' },
  ];
  expect(countOutOfOrder({ firstRequests, overlaps }, 1)).toBe(2);
  expect(countOutOfOrder({ firstRequests, overlaps: [] }, 1)).toBe(1);
  expect(countOutOfOrder({ firstRequests, overlaps: [] }, 3)).toBe(0);
});

test('already 30 webhooks have every kind of policy; of 200, each kind of receiver has every kind', () => {
  const kindsOf = (count: number, manner?: Manner) =>
    new Set(
      Array.from({ length: count }, (_, number) => number).flatMap((number) => {
        const own = manners[number % manners.length] ?? 'healthy';
        const policy = JSON.stringify(policyOf(own, number, 'http://127.0.0.1/token'));
        return manner === undefined || own === manner ? [policy] : [];
      }),
    );
  const all = kindsOf(1000);
  expect(all.size).toBe(11);
  expect(kindsOf(30)).toEqual(all);
  for (const manner of manners)
    expect(kindsOf(200, manner).size).toBe(manner === 'healthy' || manner === 'slow' ? 11 : 10);
});

test('the receiver refuses what has no credentials, and tokens that it gave a while ago', async () => {
  const receiver = await startTortureReceiver();
  onTestFinished(() => receiver.close());
  onTestFinished(() => void vi.useRealTimers());
  const post = async (demand: Demand, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return (await fetch(receiver.url('healthy', 1, demand), { method: 'POST', headers })).status;
  };
  expect([await post('nothing'), await post('bearer'), await post('bearer', bearerToken)]).toEqual([
    200, 401, 200,
  ]);
  const { access_token: token } = (await (await fetch(receiver.tokenUrl)).json()) as { access_token: string };
  expect([await post('oauth2'), await post('oauth2', 'other'), await post('oauth2', token)]).toEqual([
    401, 401, 200,
  ]);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 5000 });
  expect(await post('oauth2', token)).toBe(401);
});
