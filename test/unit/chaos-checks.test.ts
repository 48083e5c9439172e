import { expect, test } from 'vitest';
import { operationFault } from '../../bench/chaos/act-operations.ts';
import { checkAll } from '../../bench/chaos/check.ts';
import type { Entry } from '../../bench/chaos/check-timelines.ts';
import type { Facts } from '../../bench/chaos/facts.ts';
import { actionsOf } from '../../bench/chaos/model.ts';
import {
  at,
  attempt,
  delivery,
  event,
  factsOf,
  hourMs,
  now,
  request,
  run,
  timeline,
  waiting,
  webhook,
} from '../kit/chaos-facts.ts';

// Each check of npm run chaos gets a run with a fault of its kind, and one without.

test('npm run chaos finds no fault in a run as it should be', () => {
  expect(checkAll(factsOf())).toEqual([]);
});

test('hours that passed before an event was published bring its expiry no nearer', () => {
  const facts = factsOf(({ model }) => {
    model.events.set('evt_1', event({ expiresAt: now + hourMs }));
    model.shifts = [{ at: now - 8000, hours: 2 }];
    return {};
  });
  expect(checkAll(facts)).toEqual([]);
});

test.each<[string, RegExp, (facts: Facts) => Partial<Facts>]>([
  ['an accepted event that is gone', /accepted and does not exist/, () => ({ eventIds: new Set() })],
  [
    'a subscribed webhook without a delivery',
    /has no delivery for wh_2/,
    ({ model }) => {
      model.webhooks.push(webhook({ id: 'wh_2', path: '/2' }));
      return {};
    },
  ],
  [
    'a delivery for a webhook that was deleted before',
    /was not subscribed/,
    ({ model }) => {
      model.webhooks = [webhook({ deleteSentAt: now - 4500, deletedAt: now - 4400 })];
      return {};
    },
  ],
  [
    'a delivery for a webhook that its event does not name',
    /has a delivery for wh_1, which was not subscribed/,
    ({ model }) => {
      model.events.set('evt_1', event({ webhookIds: ['wh_2'] }));
      model.webhooks = [webhook({ recoveries: 1 })];
      return {};
    },
  ],
  [
    'a named webhook without a delivery',
    /has no delivery for wh_2/,
    ({ model }) => {
      model.webhooks.push(webhook({ id: 'wh_2', path: '/2', filters: [] }));
      model.events.set('evt_1', event({ webhookIds: ['wh_1', 'wh_2'] }));
      return {};
    },
  ],
  [
    'a request before the time of its event',
    /1000 ms before its time/,
    ({ model }) => {
      model.events.set('evt_1', event({ deliverAt: now - 1990 }));
      return {};
    },
  ],
  [
    'a request before the time of its event, though hours have passed',
    /1000 ms before its time/,
    ({ model }) => {
      model.events.set('evt_1', event({ deliverAt: now - 1990 + 2 * hourMs }));
      model.shifts = [{ at: now - 3500, hours: 2 }];
      return {};
    },
  ],
  [
    'a request after its event expired',
    /4000 ms after it expired/,
    ({ model }) => {
      model.events.set('evt_1', event({ expiresAt: now - 6990 }));
      return {};
    },
  ],
  [
    'a delivery that expired before its event did',
    /expired too early/,
    ({ model }) => {
      model.events.set('evt_1', event({ expiresAt: Date.now() + hourMs }));
      return { deliveries: [delivery({ status: 'failed', reason: 'expired' })] };
    },
  ],
  [
    'a delivery that waits though it has expired',
    /is held: it has expired/,
    ({ model }) => {
      model.events.set('evt_1', event({ expiresAt: now - 6000 }));
      return {
        deliveries: [delivery({ status: 'held', endedAt: null })],
        webhooks: [{ id: 'wh_1', path: '/1', active: false }],
      };
    },
  ],
  [
    'a scheduled delivery whose time has come',
    /its time has come/,
    () => ({ deliveries: [waiting({ isScheduled: true, nextAttemptAt: Date.now() - 1000 })] }),
  ],
  [
    'a delivery of a response that does not exist',
    /named the delivery dlv_0/,
    ({ model }) => {
      model.events.set('evt_1', event({ deliveries: [{ id: 'dlv_0', webhookId: 'wh_1' }] }));
      return {};
    },
  ],
  [
    'two deliveries of one event to one webhook',
    /two deliveries/,
    ({ deliveries }) => ({ deliveries: [...deliveries, delivery({ id: 'dlv_2' })] }),
  ],
  [
    'a delivery that is held for an active webhook',
    /is held: its webhook is active/,
    () => ({ deliveries: [delivery({ status: 'held', endedAt: null })] }),
  ],
  ['a delivery that has nothing to wait for', /has nothing to wait for/, () => ({ deliveries: [waiting()] })],
  [
    'a delivery that nobody canceled',
    /nobody canceled it \(terminated\)/,
    () => ({ deliveries: [delivery({ status: 'canceled', reason: 'terminated' })] }),
  ],
  [
    'a retry that was accepted and led to no attempt',
    /dlv_1 was retried after attempt 1, and not attempted since/,
    ({ model }) => {
      actionsOf(model, 'dlv_1').attemptsAtRetry = 1;
      return {};
    },
  ],
  [
    'a held delivery that expired too early',
    /expired too early/,
    () => ({ deliveries: [delivery({ status: 'failed', reason: 'expired' })] }),
  ],
  [
    'a failed delivery without a failed attempt',
    /no attempt in the log has failed/,
    () => ({ deliveries: [delivery({ status: 'failed', reason: 'retries_exhausted' })] }),
  ],
  [
    'a delivered delivery without an attempt',
    /no attempt in the log has delivered it/,
    () => ({ attempts: [], requests: [request({ attemptId: 'att_1' })] }),
  ],
  [
    'a delivered delivery that was not received',
    /has not received evt_1/,
    () => ({ requests: [request({ status: 500 })] }),
  ],
  ['a request to another path', /has not received evt_1/, () => ({ requests: [request({ path: '/2' })] })],
  [
    'another body in another attempt',
    /two different bodies/,
    ({ requests }) => ({ requests: [...requests, request({ bodyDigest: 'b' })] }),
  ],
  [
    'a request that is not in the log',
    /att_9 of evt_1 reached \/1 and is not in the log/,
    ({ requests }) => ({ requests: [...requests, request({ attemptId: 'att_9' })] }),
  ],
  [
    'a logged response that was not sent',
    /logged with 500, and was not received/,
    ({ attempts }) => ({
      attempts: [...attempts, attempt({ id: 'att_2', number: 2, statusCode: 500, outcome: 'failed' })],
    }),
  ],
  ['a gap in the numbers of attempts', /attempts numbered 2/, () => ({ attempts: [attempt({ number: 2 })] })],
  [
    'an hour over the cap',
    /3 attempts in the hour .* the cap is 2/,
    ({ attempts }) => ({
      attempts: [
        ...attempts,
        attempt({ id: 'att_2', number: 2, startedAt: now, statusCode: null, outcome: 'failed' }),
        attempt({ id: 'att_3', number: 3, startedAt: now + 1000, statusCode: null, outcome: 'failed' }),
      ],
    }),
  ],
  [
    'a delivery that the filter of its webhook left out',
    /evt_1 has a delivery for wh_1, which was not subscribed/,
    ({ model }) => {
      model.webhooks = [
        webhook({ policies: [{ value: 'filtered', sentAt: now - 4700, doneAt: now - 4600 }] }),
      ];
      return {};
    },
  ],
  [
    'an event without a delivery that matches the filter of its webhook',
    /has no delivery for wh_2/,
    ({ model }) => {
      const policies = [{ value: 'filtered' as const, sentAt: now - 4700, doneAt: now - 4600 }];
      model.webhooks.push(webhook({ id: 'wh_2', path: '/2', policies }));
      model.events.set('evt_1', event({ labels: ['odd'] }));
      return {};
    },
  ],
  [
    'more attempts than the rate limit allows',
    /4 attempts in 1500 ms .* its rate is 3/,
    ({ model, attempts }) => {
      model.webhooks = [
        webhook({ createSentAt: now - 60_000, policies: [{ value: 'rate', sentAt: 0, doneAt: 0 }] }),
      ];
      const more = [1, 2, 3].map((step) =>
        attempt({
          id: `att_1${step}`,
          number: step + 1,
          startedAt: now - 3000 + step * 500,
          statusCode: null,
        }),
      );
      return { attempts: [...attempts, ...more] };
    },
  ],
  [
    'two requests at once to a webhook that allows one',
    /got att_2 while att_1 was under way/,
    ({ model, attempts, requests }) => {
      model.webhooks = [webhook({ policies: [{ value: 'one', sentAt: 0, doneAt: 0 }] })];
      return {
        attempts: [...attempts, attempt({ id: 'att_2', number: 2 })],
        requests: [...requests, request({ attemptId: 'att_2', at: now - 2985 })],
      };
    },
  ],
  [
    'two workflows for one delivery',
    /has 2 workflows/,
    () => ({
      deliveries: [waiting()],
      runs: [run({ isRunning: true }), run({ workflowId: 'grp_1', isRunning: true })],
    }),
  ],
  [
    'a workflow of an ended delivery',
    /is delivered, and dlv_1 still runs/,
    () => ({ runs: [run({ isRunning: true })] }),
  ],
  ['no workflow for a waiting delivery', /no workflow owns it/, () => ({ deliveries: [waiting()] })],
  [
    'a second run that nobody requested',
    /run 2 times, and 1 were requested/,
    ({ runs }) => ({ runs: [...runs, run({ runId: 'run_2' })] }),
  ],
  [
    'a group that was run twice',
    /group grp_1 was run 2 times/,
    ({ runs }) => ({
      runs: [...runs, run({ workflowId: 'grp_1' }), run({ workflowId: 'grp_1', runId: 'run_3' })],
    }),
  ],
  ['a history without bound', /201 events/, () => ({ runs: [run({ historyLength: 201 })] })],
  [
    'an archive that differs from the history',
    /differs from the archived one/,
    () => ({ timelines: [{ id: 'dlv_1', live: timeline, archived: timeline.slice(0, 3) }] }),
  ],
  [
    'a timeline out of order',
    /out of order at entry 3/,
    () => {
      const mixed = [...timeline.slice(0, 2), { at: at(0.5), type: 'attempt' }];
      return { timelines: [{ id: 'dlv_1', live: mixed, archived: mixed }] };
    },
  ],
  [
    'an entry after the end',
    /after its end comes "wait"/,
    () => {
      const more = [...timeline, { at: at(3), type: 'wait' }];
      return { timelines: [{ id: 'dlv_1', live: more, archived: more }] };
    },
  ],
  [
    'a delivery that GET does not show',
    /no response to GET from history/,
    () => ({ timelines: [{ id: 'dlv_1', live: null, archived: timeline }] }),
  ],
  [
    'an error in a log',
    /A process logged/,
    () => ({ logLines: ['{"level":"error","msg":"a delivery could not be checked"}'] }),
  ],
])('npm run chaos finds %s', (_name, message, change) => {
  expect(checkAll(factsOf(change)).join('\n')).toMatch(message);
});

test('the checks of npm run chaos take a time that was read from the database an hour later for the same time', () => {
  const earlier = timeline.map((entry) => ({
    ...entry,
    at: new Date(Date.parse(entry.at) - (entry.type === 'started' ? 0 : hourMs)).toISOString(),
  }));
  const archived = earlier.sort((a, b) => a.at.localeCompare(b.at));
  expect(checkAll(factsOf(() => ({ timelines: [{ id: 'dlv_1', live: timeline, archived }] })))).toEqual([]);
});

test('the checks of npm run chaos take an end before an hour passed, and its copy read after it, for one end', () => {
  const hourBefore = (time: string) => new Date(Date.parse(time) - hourMs).toISOString();
  const [accepted, started, made, ended] = timeline.map((entry) => ({ ...entry }));
  if (!accepted || !started || !made || !ended) throw new Error('The timeline is another one');
  accepted.at = hourBefore(accepted.at);
  const live = [accepted, { ...ended, at: hourBefore(ended.at) }, started, made, ended];
  const archived = [accepted, started, made, ended];
  expect(checkAll(factsOf(() => ({ timelines: [{ id: 'dlv_1', live, archived }] })))).toEqual([]);
});

test('the checks of npm run chaos allow a hold to be left out only if an hour passed between it and the end', () => {
  const hourBefore = (entry: Entry) => ({
    ...entry,
    at: new Date(Date.parse(entry.at) - hourMs).toISOString(),
  });
  const [accepted, started, made, ended] = timeline.map((entry) => ({ ...entry }));
  if (!accepted || !started || !made || !ended) throw new Error('The timeline is another one');
  const archived = [accepted, { at: at(0.5), type: 'held' }, started, made, ended];
  const live = [hourBefore(accepted), hourBefore(made), hourBefore(ended), started];
  expect(checkAll(factsOf(() => ({ timelines: [{ id: 'dlv_1', live, archived }] })))).toEqual([]);
  const [fault] = checkAll(factsOf(() => ({ timelines: [{ id: 'dlv_1', live: timeline, archived }] })));
  expect(fault).toContain('differs from the archived one');
});

test('npm run chaos allows an error in the log for a call whose response is 503', () => {
  const line = '{"level":"error","err":{"message":"read ECONNRESET"},"msg":"unavailable"}';
  expect(checkAll(factsOf(() => ({ logLines: [line] })))).toEqual([]);
});

test('npm run chaos reports no fault that a kill, a manual action or a parallel run explains', () => {
  const facts = factsOf(({ model, requests, runs }) => {
    model.disturbances.push({ kind: 'process killed', from: now - 2000, to: now - 1000, isGraceful: false });
    actionsOf(model, 'dlv_1').retries = 1;
    return {
      requests: [...requests, request({ attemptId: 'att_9' })],
      runs: [...runs, run({ runId: 'run_2' })],
    };
  });
  expect(checkAll(facts)).toEqual([]);
  expect(
    checkAll(
      factsOf(({ model }) => {
        actionsOf(model, 'dlv_1').isFar = true;
        const shown = timeline.slice(0, 3);
        return {
          deliveries: [waiting({ nextAttemptAt: now + 29 * 24 * hourMs })],
          runs: [run({ isRunning: true })],
          timelines: [{ id: 'dlv_1', live: shown, archived: shown }],
        };
      }),
    ),
  ).toEqual([]);
});

test('an operation accounts for its deliveries: reasons for those that failed, and an outcome that counts no more', () => {
  const good = {
    status: 'completed',
    done: 2,
    failed: 1,
    failures: [{ count: 1 }],
    outcome: { delivered: 2 },
  };
  expect(operationFault(good)).toBeNull();
  expect(operationFault({ ...good, outcome: { delivered: 0, canceled: 1 } })).toBeNull();
  expect(operationFault({ ...good, failures: [] })).toMatch(/1 failed, and it has reasons for 0/);
  expect(operationFault({ ...good, outcome: { delivered: 3, waiting: 1 } })).toMatch(/outcome counts 4/);
  expect(operationFault({ ...good, outcome: null })).toMatch(/no outcome/);
});
