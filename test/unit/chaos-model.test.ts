import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkCap, checkDeferrals } from '../../bench/chaos/check-cap.ts';
import { shifted, subscription } from '../../bench/chaos/model.ts';
import { commandNames, describeCommand, scenarios } from '../../bench/chaos/scenario.ts';
import { attempt, event, hourMs, now, waiting, webhook } from '../kit/chaos-facts.ts';

test('the model of npm run chaos is certain of a subscription only where no call ran beside the publishing', () => {
  expect(subscription(webhook(), event())).toBe('yes');
  expect(subscription(webhook({ createdAt: null }), event())).toBe('maybe');
  expect(subscription(webhook({ createdAt: now - 3950 }), event())).toBe('maybe');
  expect(subscription(webhook({ deleteSentAt: now - 3950 }), event())).toBe('maybe');
  expect(subscription(webhook({ deleteSentAt: now }), event())).toBe('yes');
  expect(subscription(webhook({ deleteSentAt: now }), event({ acceptedAt: null }))).toBe('maybe');
  expect(subscription(webhook({ createSentAt: now }), event())).toBe('no');
  expect(subscription(webhook({ filters: ['dataset.*'] }), event())).toBe('no');
});

test('checkCap counts hours that passed, and judges an hour by the highest cap in force in it', () => {
  const shifts = [{ at: now - 500, hours: 1 }];
  expect(shifted(now - 1000, shifts)).toBe(now - 1000 - hourMs);
  expect(shifted(now, shifts)).toBe(now);
  const three = [1, 2, 3].map((number) =>
    attempt({ id: `att_${number}`, number, startedAt: now - 1000 - hourMs + number }),
  );
  const caps = [
    { cap: 0, from: 0, to: now - 900 },
    { cap: 2, from: now - 900, to: Infinity },
  ];
  expect(checkCap({ attempts: three, requests: [], caps, shifts })).toEqual([]);
  expect(checkCap({ attempts: three, requests: [], caps: caps.slice(1), shifts })).toEqual([
    expect.stringMatching(/3 attempts/),
  ]);
  const moved = three.map((each) => ({ ...each, startedAt: each.startedAt + hourMs }));
  expect(checkCap({ attempts: moved, requests: [], caps: caps.slice(1), shifts })).toHaveLength(1);
});

test('checkDeferrals finds a delivery that waits longer than the cap requires, and a wrong count of used attempts', () => {
  const attempts = [2, 1].map((number) => attempt({ number, startedAt: now - number * 60_000 }));
  const deferred = (...minutes: number[]) =>
    minutes.map((minute, index) => waiting({ id: `dlv_${index}`, nextAttemptAt: now + minute * 60_000 }));
  const facts = { now, cap: 2, attempts, loose: new Set<string>(), used: new Map([['wh_1', 2]]) };
  expect(checkDeferrals({ ...facts, deferred: deferred(58, 59, 118) })).toEqual([]);
  expect(checkDeferrals({ ...facts, deferred: deferred(58, 60) })).toEqual([
    expect.stringMatching(/dlv_1 .* waits 60 s longer/),
  ]);
  expect(checkDeferrals({ ...facts, attempts: [], used: new Map(), deferred: deferred(1) })).toHaveLength(1);
  expect(checkDeferrals({ ...facts, deferred: [], used: new Map([['wh_1', 0]]) })).toEqual([
    expect.stringMatching(/used is 0; the log has 2 to 2/),
  ]);
});

test('every step of npm run chaos has a description of one line, and a scenario can be printed and parsed again', () => {
  const seen = new Set<string>();
  for (const scenario of fc.sample(scenarios(commandNames), { numRuns: 200, seed: 1 })) {
    expect(JSON.parse(JSON.stringify(scenario))).toEqual(scenario);
    for (const command of scenario.commands) {
      expect(describeCommand(command)).toMatch(/^[a-zA-Z]+( [a-zA-Z]+=\w+)*$/);
      seen.add(command.do);
    }
  }
  expect([...seen].sort()).toEqual([...commandNames].sort());
});
