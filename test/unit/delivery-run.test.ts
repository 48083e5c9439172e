import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AttemptResult } from '../../src/domain/attempt-result.ts';
import { beginRun, stepRun, type DeliveryRun, type RunInput } from '../../src/domain/delivery-run.ts';
import { showTimeline, type StoredEntry } from '../../src/domain/timeline.ts';
import type { DeliverEventInput } from '../../workflows/contract.ts';

const input: DeliverEventInput = {
  deliveryId: 'dlv_1',
  webhookId: 'wh_1',
  schedule: [60, 300, 1800],
  attempts: 0,
  retriesUsed: 0,
  wait: null,
  continues: false,
  isFirstLocal: false,
};
const startMs = Date.parse('2026-01-01T00:00:00.000Z');
const timeAt = (seconds: number) => new Date(startMs + seconds * 1000).toISOString();
const begin = (more: Partial<DeliverEventInput> = {}) =>
  beginRun({ ...input, ...more }, { at: timeAt(0), runId: 'run', workflowId: 'dlv_1' }).run;

const attempt = (number: number, outcome: 'delivered' | 'retry' | 'failed') => ({
  id: `att_${number}`,
  number,
  startedAt: timeAt(number),
  durationMs: 10,
  statusCode: outcome === 'delivered' ? 200 : 503,
  outcome,
  errorCode: outcome === 'delivered' ? null : ('server_error' as const),
});
const result = (of: AttemptResult): RunInput => ({ type: 'result', at: timeAt(1), result: of });
const signal = (name: 'retryNow' | 'cancel' | 'wake' | 'reschedule', request: object = { by: 'key_1' }) =>
  ({ type: 'signal', at: timeAt(2), name, request }) as RunInput;
const wait = (number: number): RunInput =>
  result({ next: 'wait', attempt: attempt(number, 'retry'), seconds: 60 });
const play = (run: DeliveryRun, ...inputs: RunInput[]) =>
  inputs.reduce((state, next) => stepRun(state, next).run, run);

test('a delivery attempts and waits until its schedule is used up', () => {
  let run = begin();
  const seen: unknown[] = [];
  for (let number = 1; number <= 4; number += 1) {
    seen.push(run.action);
    const last = number === 4;
    run = play(
      run,
      last
        ? result({ next: 'fail', attempt: attempt(number, 'failed'), reason: 'retries_exhausted' })
        : wait(number),
      ...(last ? [] : [{ type: 'timer', at: timeAt(100) } as const]),
    );
  }
  expect(seen).toMatchObject([
    { number: 1, of: 4, scheduledSeconds: 60, trigger: 'due' },
    { number: 2, of: 4, scheduledSeconds: 300 },
    { number: 3, of: 4, scheduledSeconds: 1800 },
    { number: 4, of: 4, scheduledSeconds: null },
  ]);
  expect(run.action).toMatchObject({ type: 'fail', reason: 'retries_exhausted' });
});

test('a signal during a wait ends it; one during an attempt is decided after it', () => {
  const waiting = play(begin(), wait(1));
  expect(waiting.action).toMatchObject({ type: 'wait', reason: 'retry' });
  expect(play(waiting, signal('retryNow', { by: 'k', attemptsSeen: 1 })).action).toMatchObject({
    type: 'attempt',
    trigger: 'requested',
  });
  expect(play(waiting, signal('cancel')).action).toEqual({ type: 'cancel' });
  expect(play(waiting, signal('wake')).action).toMatchObject({ type: 'attempt', trigger: 'wake' });
  const until = timeAt(5000);
  expect(play(waiting, signal('reschedule', { by: 'k', until })).action).toEqual({
    type: 'reschedule',
    until,
  });
  // Sent by hand, without a time.
  expect(play(waiting, signal('reschedule', { by: 'k', until: 'soon' }))).toEqual(waiting);

  const during = play(begin(), signal('reschedule', { by: 'k', until }), signal('cancel'));
  expect(during.action).toMatchObject({ type: 'attempt', number: 1 });
  expect(play(during, wait(1)).action).toEqual({ type: 'cancel' });
  // Who knew that none was made has had that attempt; who did not say so wants the next one.
  const knew = play(begin(), signal('retryNow', { by: 'k', attemptsSeen: 0 }), wait(1));
  expect(knew.action).toMatchObject({ type: 'wait' });
  expect(play(begin(), signal('retryNow', {}), wait(1)).action).toMatchObject({ type: 'attempt', number: 2 });
});

test('a retry that is requested while another request is acted on is made', () => {
  const until = timeAt(5000);
  const retry = signal('retryNow', { by: 'k', attemptsSeen: 1 });
  const waiting = play(begin(), wait(1));
  // While the time that was requested before is written.
  const rescheduling = play(waiting, signal('reschedule', { by: 'k', until }), retry);
  expect(rescheduling.action).toMatchObject({ type: 'reschedule' });
  const rescheduled: RunInput = { type: 'rescheduled', at: timeAt(3), until };
  expect(play(rescheduling, rescheduled).action).toMatchObject({ type: 'attempt', trigger: 'requested' });
  // While the row is read again.
  const notDue = result({ next: 'defer', at: timeAt(3), until, reason: 'rescheduled' });
  expect(play(waiting, signal('wake'), retry, notDue).action).toMatchObject({
    type: 'attempt',
    trigger: 'requested',
  });
  // While it waits for a permit, woken in between.
  const busy = play(waiting, retry, result({ next: 'busy', seconds: 2 }));
  expect(busy.action).toMatchObject({ type: 'wait', reason: 'busy' });
  expect(play(busy, signal('wake')).action).toMatchObject({ type: 'attempt', trigger: 'requested' });
  // The hourly cap applies to it, and a time that is requested later counts.
  const capped = result({ next: 'defer', at: timeAt(3), until, reason: 'hourly_cap' });
  expect(play(waiting, retry, capped).action).toMatchObject({ type: 'wait', reason: 'hourly_cap' });
  const later = signal('reschedule', { by: 'k', until });
  expect(play(busy, later, rescheduled).action).toMatchObject({ type: 'wait', reason: 'rescheduled' });
});

test('a probe that fails uses no wait of the schedule, and its run ends, unless it is to read its row again', () => {
  const probe = { ...attempt(1, 'retry'), isProbe: true as const };
  const parked = result({ next: 'stop', status: 'deferred', attempt: probe, seconds: null });
  const ended = { attempts: 1, retriesUsed: 0, action: { type: 'end', status: 'deferred' } };
  expect(play(begin(), parked)).toMatchObject(ended);
  expect(stepRun(begin(), parked).entries.map(({ type }) => type)).toEqual(['attempt']);
  const again = play(begin(), signal('wake'), parked);
  const action = { type: 'attempt', number: 2, of: 5, scheduledSeconds: 60, trigger: 'wake' };
  expect(again).toMatchObject({ retriesUsed: 0, action });
});

test('a retry that was requested after the end was recorded begins again, with a fresh schedule', () => {
  const last = play(begin({ attempts: 3, retriesUsed: 3 }), signal('retryNow', { by: 'k', attemptsSeen: 4 }));
  const failed = result({ next: 'fail', attempt: attempt(4, 'failed'), reason: 'retries_exhausted' });
  expect(play(last, failed).action).toMatchObject({ type: 'attempt', number: 5, scheduledSeconds: 60 });
  expect(play(begin({ attempts: 3, retriesUsed: 3 }), failed).action).toMatchObject({ type: 'fail' });
});

test('a held delivery ends its run, unless its row was changed again meanwhile', () => {
  const held = result({ next: 'stop', status: 'held', attempt: null, seconds: null });
  expect(play(begin(), held).action).toEqual({ type: 'end', status: 'held' });
  expect(play(begin(), signal('wake'), held).action).toMatchObject({ type: 'attempt', trigger: 'wake' });
});

test('an attempt whose delivery was held under way counts, and the next one has its own number', () => {
  const held = result({ next: 'stop', status: 'held', attempt: attempt(1, 'retry'), seconds: null });
  expect(play(begin(), signal('wake'), held)).toMatchObject({
    attempts: 1,
    retriesUsed: 1,
    action: { type: 'attempt', trigger: 'wake', number: 2, scheduledSeconds: 300 },
  });
});

test('a signal has the time of its request, also where a workflow task is run again; never a later one than now', () => {
  const atOf = (request: object) => stepRun(begin(), signal('retryNow', request)).entries.map(({ at }) => at);
  expect(atOf({ by: 'key_1', at: timeAt(1) })).toEqual([timeAt(1)]);
  for (const at of [undefined, 'soon', 7, timeAt(60)]) expect(atOf({ by: 'key_1', at })).toEqual([timeAt(2)]);
});

test('the entries of a worker that died before it reported are shown once, and kept where no history has them', () => {
  const started: StoredEntry = { at: timeAt(0), type: 'started', run_id: 'run', workflow_id: 'dlv_1' };
  const requested: StoredEntry = { at: timeAt(1), type: 'signal', name: 'retryNow', by: 'key_1' };
  const deferred = (at: number, until: number): StoredEntry => ({
    at: timeAt(at),
    type: 'wait',
    seconds: until - at,
    until: timeAt(until),
    reason: 'hourly_cap',
  });
  // The row has the results of both looks, the history that of the second one.
  const row = [
    started,
    requested,
    { ...deferred(2, 60), outside: true as const },
    started,
    requested,
    deferred(3, 60),
  ];
  const fromHistory = [{ ...deferred(2, 60), outside: true as const }, started, requested, deferred(3, 60)];
  const shown = [started, requested, deferred(2, 60)];
  expect(showTimeline(row)).toEqual(shown);
  expect(showTimeline(fromHistory)).toEqual(shown);
});

test('a hold between the end of an attempt and its record is not shown after the end; one after a retry is', () => {
  const entry = (seconds: number, type: 'held' | 'released'): StoredEntry => ({ at: timeAt(seconds), type });
  const ended: StoredEntry = { at: timeAt(1), type: 'ended', status: 'delivered', reason: null };
  const retry: StoredEntry = { at: timeAt(4), type: 'signal', name: 'retryNow', by: 'key_1' };
  const shown = showTimeline([
    entry(0, 'held'),
    ended,
    entry(2, 'held'),
    entry(3, 'released'),
    retry,
    entry(5, 'held'),
  ]);
  expect(shown.map(({ type }) => type)).toEqual(['held', 'ended', 'signal', 'held']);
});

test('a cancel while the request that delivers is under way is not shown as an end; one after a retry is', () => {
  const end = (seconds: number, status: 'delivered' | 'canceled'): StoredEntry => ({
    at: timeAt(seconds),
    type: 'ended',
    status,
    reason: status === 'canceled' ? 'webhook_deleted' : null,
  });
  const retry: StoredEntry = { at: timeAt(4), type: 'signal', name: 'retryNow', by: 'key_1' };
  const ends = (entries: StoredEntry[]) =>
    showTimeline(entries).flatMap((entry) => (entry.type === 'ended' ? entry.status : []));
  expect(ends([end(1, 'canceled'), end(2, 'delivered')])).toEqual(['delivered']);
  expect(ends([end(1, 'delivered'), end(2, 'canceled')])).toEqual(['delivered']);
  expect(ends([end(1, 'delivered'), retry, end(5, 'canceled')])).toEqual(['delivered', 'canceled']);
  expect(ends([end(1, 'canceled')])).toEqual(['canceled']);
});

test('nothing changes after the end', () => {
  const ended = play(begin(), result({ next: 'end', attempt: attempt(1, 'delivered') }));
  for (const next of [
    signal('cancel'),
    signal('retryNow'),
    wait(1),
    { type: 'timer', at: timeAt(9) } as const,
  ])
    expect(stepRun(ended, next)).toEqual({ run: ended, entries: [] });
});

const results = fc.constantFrom<(number: number) => AttemptResult>(
  (number) => ({ next: 'end', attempt: attempt(number, 'delivered') }),
  (number) => ({ next: 'wait', attempt: attempt(number, 'retry'), seconds: 60 }),
  (number) => ({ next: 'fail', attempt: attempt(number, 'failed'), reason: 'client_error' }),
  () => ({ next: 'defer', at: timeAt(3), until: timeAt(3600), reason: 'hourly_cap' }),
  () => ({ next: 'busy', seconds: 2 }),
  () => ({ next: 'stop', status: 'held', attempt: null, seconds: null }),
);
const signals = fc.oneof(
  fc.constantFrom(signal('cancel'), signal('wake'), signal('retryNow')),
  fc.nat(5).map((attemptsSeen) => signal('retryNow', { by: 'k', attemptsSeen })),
  fc.nat(5000).map((seconds) => signal('reschedule', { by: 'k', until: timeAt(seconds) })),
);

test('in any sequence of inputs: attempts count up by one, none is made after a cancel, no retry is lost, the end comes last', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(signals, { maxLength: 3 }), results), { maxLength: 40 }),
      (steps) => {
        let run = begin();
        const entries: StoredEntry[] = [];
        let made = 0;
        let isCanceled = false;
        // As many attempts serve the retry that was requested last.
        let servedBy = 0;
        const apply = (next: RunInput) => {
          if (next.type === 'signal' && next.name === 'reschedule') servedBy = 0;
          if (next.type === 'signal' && next.name === 'retryNow') {
            const seen = next.request?.attemptsSeen;
            const isByHand = seen === undefined && run.action.type === 'attempt';
            if (isByHand || (seen ?? made) >= made) servedBy = Math.max(servedBy, made + (isByHand ? 2 : 1));
          }
          if (next.type === 'result' && next.result.next === 'defer' && next.result.reason === 'hourly_cap')
            servedBy = 0;
          const step = stepRun(run, next);
          run = step.run;
          entries.push(...step.entries);
          if (run.action.type === 'wait' && run.action.reason !== 'busy')
            expect(servedBy).toBeLessThanOrEqual(made);
        };
        for (const [index, [requests, of]] of steps.entries()) {
          const wasCanceled = isCanceled;
          for (const request of requests) {
            const before = run.action;
            apply(request);
            // While something is under way, the action stays the same.
            if (before.type !== 'wait') expect(run.action).toBe(before);
          }
          isCanceled ||= requests.some((request) => request.type === 'signal' && request.name === 'cancel');
          const current = run.action;
          if (current.type === 'attempt') {
            expect(current.number).toBe(made + 1);
            // One that is under way is not called off, and no other one begins.
            expect(wasCanceled).toBe(false);
            // Only a run that was woken may find that it is not due.
            const isDue = current.trigger !== 'wake' || index % 2 === 0;
            const outcome: AttemptResult = isDue
              ? of(current.number)
              : { next: 'defer', at: timeAt(3), until: timeAt(3600), reason: 'rescheduled' };
            if ('attempt' in outcome && outcome.attempt) made += 1;
            // No request was sent: the next one comes after the requests of signals that came meanwhile.
            else servedBy = Math.min(servedBy, made + 1);
            apply(result(outcome));
          } else if (current.type === 'wait') apply({ type: 'timer', at: timeAt(50) });
          else if (current.type === 'reschedule')
            apply({ type: 'rescheduled', at: timeAt(4), until: current.until });
          else if (current.type === 'cancel')
            apply({ type: 'canceled', result: { status: 'canceled', at: timeAt(60) } });
        }
        expect(run.attempts).toBe(made);
        // The end is the last entry of a run that is over, unless a retry was requested in between.
        const isOver = run.action.type === 'end' && run.action.status !== 'held';
        if (isOver || run.action.type === 'fail') {
          const last = entries.findLastIndex(({ type }) => type !== 'signal');
          expect(entries[last]).toMatchObject({ type: 'ended' });
        }
        const shown = showTimeline(entries);
        expect(
          new Set(shown.filter(({ type }) => type === 'attempt').map((entry) => JSON.stringify(entry))).size,
        ).toBe(made);
      },
    ),
    { numRuns: 300 },
  );
});
