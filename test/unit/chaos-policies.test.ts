import { expect, test } from 'vitest';
import type { Change } from '../../bench/chaos/changes.ts';
import { checkGone } from '../../bench/chaos/check-gone.ts';
import { checkPacing } from '../../bench/chaos/check-pacing.ts';
import { checkPolicies } from '../../bench/chaos/check-policies.ts';
import type { Facts } from '../../bench/chaos/facts.ts';
import type { Disturbance } from '../../bench/chaos/model.ts';
import type { Policy } from '../../bench/chaos/policies.ts';
import { attempt, event, factsOf, hourMs, now, request, webhook } from '../kit/chaos-facts.ts';

// Each check of a policy gets a run with a fault of its kind, and the same run without.

const killed: Disturbance = { kind: 'process killed', from: now - 1000, to: now, isGraceful: false };

/** A webhook that has the policy from the beginning. */
function factsWith(policy: Policy, more: Partial<Facts>, disturbances: Disturbance[] = []): Facts {
  return factsOf(({ model }) => {
    model.webhooks = [webhook({ createSentAt: 0, policies: [{ value: policy, sentAt: 0, doneAt: 0 }] })];
    model.disturbances = disturbances;
    return more;
  });
}
const change = (kind: Change['kind'], at: number, deliveryId: string | null = null): Change => ({
  at: now + at,
  transaction: `${at}`,
  kind,
  webhookId: 'wh_1',
  deliveryId,
});
const sent = (id: string, at: number, forMs: number, more: Partial<ReturnType<typeof request>> = {}) =>
  request({ attemptId: id, at: now + at, endedAt: now + at + forMs, ...more });
const made = (id: string, at: number, more: Partial<ReturnType<typeof attempt>> = {}) =>
  attempt({ id, startedAt: now + at, ...more });

test('requests have the password of their webhook, and no others have it', () => {
  const authorization = `Basic ${Buffer.from('chaos:of the receiver').toString('base64')}`;
  const withIt = [request({ authorization })];
  expect(checkPolicies(factsWith('basic', { requests: withIt }))).toEqual([]);
  expect(checkPolicies(factsWith('plain', {}))).toEqual([]);
  expect(checkPolicies(factsWith('basic', {}))).toEqual([expect.stringMatching(/Authorization: null/)]);
  expect(checkPolicies(factsWith('plain', { requests: withIt }))).toHaveLength(1);
});

test('a late response is waited for', () => {
  const cut = (forMs: number): Partial<Facts> => ({
    attempts: [made('att_1', 0, { statusCode: null })],
    requests: [sent('att_1', 0, forMs, { status: null })],
  });
  expect(checkPolicies(factsWith('patient', cut(5000)))).toEqual([
    expect.stringMatching(/ended after 5000 ms without a response/),
  ]);
  expect(checkPolicies(factsWith('patient', cut(15_000)))).toEqual([]);
  expect(checkPolicies(factsWith('plain', cut(5000)))).toEqual([]);
  expect(checkPolicies(factsWith('patient', cut(5000), [killed]))).toEqual([]);
});

test('after a 429 the whole webhook waits for as long as its receiver requests', () => {
  const after = (ms: number): Partial<Facts> => ({
    attempts: [made('att_1', 0, { statusCode: 429 }), made('att_2', ms, { deliveryId: 'dlv_2' })],
    requests: [sent('att_1', 0, 10), sent('att_2', ms, 10)],
  });
  expect(checkPolicies(factsWith('obeying', after(30_000)))).toEqual([
    expect.stringMatching(/att_2 30 s after att_1, whose response requested 1200 s/),
  ]);
  expect(checkPolicies(factsWith('obeying', after(1_200_000)))).toEqual([]);
  expect(checkPolicies(factsWith('longer', after(30_000)))).toEqual([]);
});

test('a preset is followed', () => {
  const again = (ms: number): Partial<Facts> => ({
    attempts: [made('att_1', 0), made('att_2', 5000, { number: 2 }), made('att_3', 5000 + ms, { number: 3 })],
  });
  expect(checkPolicies(factsWith('day', again(300_000)))).toEqual([]);
  expect(checkPolicies(factsWith('day', again(299_000)))).toEqual([
    expect.stringMatching(/att_3.*schedule day/),
  ]);
  expect(checkPolicies(factsWith('three_days', again(299_000)))).toHaveLength(1);
  expect(checkPolicies(factsWith('longer', again(299_000)))).toEqual([]);
});

const paced = [change('paced', 0), change('back', 60_000)];

test('a webhook that is paced gets one probe at a time, and nothing else', () => {
  const facts = (isProbe: boolean, secondAt: number, disturbances: Disturbance[] = []) =>
    factsWith(
      'probing',
      {
        changes: paced,
        attempts: [made('att_1', 30_000, { isProbe: true }), made('att_2', secondAt, { number: 2, isProbe })],
        requests: [sent('att_1', 30_000, 500), sent('att_2', secondAt, 500)],
      },
      disturbances,
    );
  expect(checkPacing(facts(true, 30_400))).toEqual([
    expect.stringMatching(/the probe att_2 while another one/),
  ]);
  expect(checkPacing(facts(true, 30_600))).toEqual([]);
  expect(checkPacing(facts(true, 30_400, [{ ...killed, to: now + 20_000 }]))).toEqual([]);
  expect(checkPacing(facts(false, 40_000))).toEqual([expect.stringMatching(/att_2, which is no probe/)]);
  expect(checkPacing(facts(false, 5000))).toEqual([]);
});

test('once it is back, requests begin slowly', () => {
  const facts = (times: number[]) =>
    factsWith('probing', {
      changes: [change('paced', -60_000), change('back', 0)],
      attempts: times.map((at) => made(`att_${at}`, at, { isProbe: true })),
      requests: times.map((at) => sent(`att_${at}`, at, 10)),
    });
  expect(checkPacing(facts([5, 1000, 1500, 2000, 2250, 2500, 2750]))).toEqual([]);
  expect(checkPacing(facts([5, 600]))).toEqual([expect.stringMatching(/2 requests in 1 s/)]);
});

test('parked deliveries are released in order, unless somebody wants one earlier', () => {
  const changes = [
    change('parked', 0, 'dlv_1'),
    change('parked', 1, 'dlv_2'),
    change('released', 9000, 'dlv_2'),
  ];
  const facts = factsWith('probing', { changes });
  expect(checkPacing(facts)).toEqual([expect.stringMatching(/dlv_2 of wh_1 was released before dlv_1/)]);
  expect(checkPacing({ ...facts, changes: [...changes, change('released', 9100, 'dlv_1')] })).toEqual([]);
  expect(checkPacing({ ...facts, changes: [...changes, change('released', 19_000, 'dlv_1')] })).toHaveLength(
    1,
  );
  facts.model.actions.set('dlv_2', {
    retries: 1,
    reschedules: 0,
    isFar: false,
    isCanceled: false,
    attemptsAtRetry: null,
  });
  expect(checkPacing(facts)).toEqual([]);
});

test('a 410 disables its webhook once, and nothing is sent until it is active again', () => {
  const gone = (changes: Change[], more: Partial<Facts> = {}) =>
    checkGone(
      factsWith('gone', {
        attempts: [made('att_1', 0, { statusCode: 410 })],
        requests: [sent('att_1', 0, 10)],
        goneRecords: [{ webhookId: 'wh_1', attemptId: 'att_1' }],
        changes,
        ...more,
      }),
    );
  expect(gone([change('gone', 20)])).toEqual([]);
  expect(gone([], { goneRecords: [] })).toEqual([expect.stringMatching(/a 410 for att_1, and was not/)]);
  expect(gone([change('gone', 20), change('on', 30), change('gone', 40)])).toEqual([
    expect.stringMatching(/disabled 2 times .* has 1/),
  ]);
  expect(gone([change('gone', 20)], { attempts: [made('att_1', 0)] })).toEqual([
    expect.stringMatching(/which got no 410/),
  ]);
  const requests = [sent('att_1', 0, 10), sent('att_2', 9000, 10)];
  expect(gone([change('gone', 20)], { requests })).toEqual([
    expect.stringMatching(/is not active, and got att_2/),
  ]);
  expect(gone([change('gone', 20), change('on', 8000)], { requests })).toEqual([]);
});

test('the times of a preset are those of the database, in which hours pass', () => {
  const facts = factsWith('day', {
    attempts: [
      made('att_1', -hourMs),
      made('att_2', 5000 - hourMs, { number: 2 }),
      made('att_3', 10_000, { number: 3 }),
    ],
  });
  facts.model.shifts = [{ at: now + 6000, hours: 1 }];
  facts.model.events.set('evt_1', event({ sentAt: now - 100, acceptedAt: now - 50 }));
  expect(checkPolicies(facts)).toEqual([]);
});
