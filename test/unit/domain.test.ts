import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newEventId } from '../../src/client/event-id.ts';
import { attemptErrorCodes } from '../../src/contracts/attempt-schema.ts';
import { idFloor, newId, timeOfId } from '../../src/domain/ids.ts';
import { describeAttemptError, judgeAttempt, reasonOf } from '../../src/domain/outcome.ts';
import { waitSeconds } from '../../src/domain/retry-schedule.ts';
import { filtersThatMatch } from '../../src/domain/subscription.ts';
import { wireBody, wireTimestamp } from '../../src/domain/wire-body.ts';
import { createSecretBox, UnopenableError } from '../../src/security/secret-box.ts';
import { digestOfKey, newApiKey } from '../../src/security/api-keys.ts';

test('ids sort by time, hold it, and have no full stop', () => {
  const before = Date.now();
  const ids = Array.from({ length: 5000 }, () => newId('dlv'));
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^dlv_[0-9a-hjkmnp-tv-z]{26}$/);
  expect(timeOfId(ids[0] ?? '').getTime()).toBeGreaterThanOrEqual(before);
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date('9999-01-01'), noInvalidDate: true }), (at) => {
      expect(timeOfId(idFloor('dlv', at))).toEqual(at);
      expect(idFloor('dlv', at) < idFloor('dlv', new Date(at.getTime() + 1))).toBe(true);
    }),
  );
});

test('the ids that the client makes are like those of the service: they hold their time', () => {
  const before = Date.now();
  const ids = Array.from({ length: 1000 }, newEventId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) {
    expect(id).toMatch(/^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
    expect(timeOfId(id).getTime()).toBeGreaterThanOrEqual(before);
    expect(timeOfId(id).getTime()).toBeLessThanOrEqual(Date.now());
  }
});

test('every status has the outcome of the table', () => {
  for (let statusCode = 100; statusCode <= 599; statusCode += 1) {
    for (const isLast of [false, true]) {
      const verdict = judgeAttempt({ kind: 'responded', statusCode }, isLast);
      const [outcome, reason] = [verdict.outcome, reasonOf(verdict)];
      if (statusCode >= 200 && statusCode <= 299) expect([outcome, reason]).toEqual(['delivered', null]);
      else if (statusCode >= 400 && statusCode <= 499)
        expect([outcome, reason]).toEqual(['failed', 'client_error']);
      else expect([outcome, reason]).toEqual(isLast ? ['failed', 'retries_exhausted'] : ['retry', null]);
    }
  }
  const errorOf = (statusCode: number) => judgeAttempt({ kind: 'responded', statusCode }, false).errorCode;
  expect([301, 304, 308].map(errorOf)).toEqual(['redirect', 'unexpected_status', 'redirect']);
  for (const code of attemptErrorCodes.filter((known) => !/client|server|redirect|unexpected/.test(known))) {
    const verdict = judgeAttempt({ kind: 'failed', code }, false);
    expect([verdict.outcome, reasonOf(verdict)]).toEqual(
      code === 'blocked_address' || code === 'email_rejected' ? ['failed', code] : ['retry', null],
    );
  }
});

test('an error describes the failure; 304 is no redirect', () => {
  expect(describeAttemptError('server_error', 500)).toBe('Response 500: a fault at the receiver.');
  expect(describeAttemptError('client_error', 410)).toMatch(/^Response 410: .*not retried/);
  expect(describeAttemptError('redirect', 301)).toMatch(/^Response 301: redirects are not followed/);
  const { errorCode } = judgeAttempt({ kind: 'responded', statusCode: 304 }, false);
  expect(errorCode && describeAttemptError(errorCode, 304)).toBe(
    'Response 304: no status that a receiver may end a request with. Respond with a 2xx status.',
  );
  expect(describeAttemptError('tls_certificate', null, 'TLS: it has expired.')).toBe('TLS: it has expired.');
});

test.each(['UTC', 'America/New_York', 'Asia/Tokyo'])(
  'a Retry-After in the form of asctime is UTC, also on a machine in %s',
  (zone) => {
    const before = process.env['TZ'];
    process.env['TZ'] = zone;
    try {
      const now = new Date('2026-01-01T00:00:00Z');
      const wait = (retryAfter: string) =>
        waitSeconds({ scheduledSeconds: 60, statusCode: 503, retryAfter, now });
      expect(wait('Thu Jan  1 00:05:00 2026')).toBe(300);
      expect(wait('Thu Jan  1 00:05:00 2026, Thu, 01 Jan 2026 00:06:00 GMT')).toBe(360);
    } finally {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    }
  },
);

test('Retry-After lengthens a wait after a 5xx, to 1,800 s at most, and never shortens it', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  const wait = (retryAfter: string | undefined, statusCode: number | null = 503, scheduledSeconds = 60) =>
    waitSeconds({ scheduledSeconds, statusCode, retryAfter, now });
  expect(wait(undefined)).toBe(60);
  expect(wait('120')).toBe(120);
  expect(wait('59')).toBe(60);
  expect(wait('1800')).toBe(1800);
  expect(wait('1801')).toBe(1800);
  expect(wait('99999999999999999999')).toBe(1800);
  expect(wait('Thu, 01 Jan 2026 00:05:00 GMT')).toBe(300);
  expect(wait('Thu, 01 Jan 2025 00:05:00 GMT')).toBe(60);
  expect(wait('Thursday, 01-Jan-26 00:05:00 GMT')).toBe(300);
  // Sent twice: the longer one counts.
  expect(wait('300, 300')).toBe(300);
  expect(wait('120,Thu, 01 Jan 2026 00:05:00 GMT')).toBe(300);
  expect(wait('Thursday, 01-Jan-26 00:05:00 GMT, Thu, 01 Jan 2026 00:10:00 GMT')).toBe(600);
  for (const odd of ['', '-5', 'soon', '1.5', '1e3', ' ', '2026']) expect([60, 1800]).toContain(wait(odd));
  expect(wait('-5')).toBe(60);
  expect(wait('600', 301)).toBe(60);
  expect(wait('600', null)).toBe(60);
  expect(wait('10', 503, 3600)).toBe(3600);
  fc.assert(
    fc.property(
      fc.string(),
      fc.integer({ min: 1, max: 604_800 }),
      fc.integer({ min: 100, max: 599 }),
      (header, seconds, status) => {
        const waited = waitSeconds({
          scheduledSeconds: seconds,
          statusCode: status,
          retryAfter: header,
          now,
        });
        expect(waited).toBeGreaterThanOrEqual(seconds);
        expect(waited).toBeLessThanOrEqual(Math.max(seconds, 1800));
      },
    ),
  );
});

test('a type is let through by its name, its family and the star', () => {
  expect(filtersThatMatch('document.processing_failed')).toEqual([
    'document.processing_failed',
    'document.*',
    '*',
  ]);
});

test('the body has four fields in one order, and the time of acceptance whole seconds', () => {
  const body = wireBody({
    id: 'evt_1',
    event: 'document.deleted',
    timestamp: wireTimestamp(new Date(1_704_888_090_999)),
    data: { a: '✅' },
  });
  expect(body.toString()).toBe(
    '{"id":"evt_1","event":"document.deleted","timestamp":"2024-01-10T12:01:30Z","data":{"a":"✅"}}',
  );
});

test('the secret box opens secrets that it sealed, under any of its keys, and nothing else', () => {
  const key = (id: string, fill: number) => ({ id, key: Buffer.alloc(32, fill) });
  const old = createSecretBox([key('a', 1)]);
  const both = createSecretBox([key('b', 2), key('a', 1)]);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.nat(), (plain, context, position) => {
      const sealed = old.seal(plain, context);
      const roundTrip = Buffer.from(plain).toString();
      expect(both.open(sealed, context)).toBe(roundTrip);
      expect(() => old.open(both.seal(plain, context), context)).toThrow(UnopenableError);
      expect(() => old.open(sealed, `${context}x`)).toThrow(UnopenableError);
      const at = 2 + (position % (sealed.length - 2));
      const other = sealed[at] === 'A' ? 'B' : 'A';
      const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
      // The last digit of a base64 part may hold bits that do not count.
      let opened: string | null = null;
      try {
        opened = old.open(changed, context);
      } catch (error) {
        expect(error).toBeInstanceOf(UnopenableError);
      }
      if (opened !== null) expect(opened).toBe(roundTrip);
    }),
  );
  expect(old.seal('same', 'x')).not.toBe(old.seal('same', 'x'));
});

test('API keys are 256 random bits, kept as SHA-256', () => {
  expect(newApiKey()).toMatch(/^fltr_[A-Za-z0-9_-]{43}$/);
  expect(newApiKey()).not.toBe(newApiKey());
  expect(digestOfKey('abc').toString('hex')).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});
