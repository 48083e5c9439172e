import { expect, test } from 'vitest';
import { publishEventSchema } from '../../src/contracts/event.ts';
import { rescheduleSchema } from '../../src/contracts/delivery.ts';
import { recoverWebhookSchema } from '../../src/contracts/recovery.ts';
import { normalizeTime, timeSchema } from '../../src/contracts/time.ts';

test.each([
  ['2024-01-10T12:01:30Z', '2024-01-10T12:01:30Z'],
  ['2024-01-10t12:01:30z', '2024-01-10T12:01:30Z'],
  ['2024-01-10t12:01:30.25+01:00', '2024-01-10T12:01:30.25+01:00'],
  ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00Z'],
  ['2016-12-31T15:59:60.5-08:00', '2017-01-01T00:00:00.5Z'],
  ['2016-12-31t23:59:60z', '2017-01-01T00:00:00Z'],
])('the time %s is read as %s', (text, expected) => {
  expect(timeSchema.parse(text)).toBe(expected);
  expect(Number.isNaN(Date.parse(expected))).toBe(false);
  const event = { event: 'document.deleted', data: {}, timestamp: text };
  expect(publishEventSchema.parse(event).timestamp).toBe(expected);
  expect(rescheduleSchema.parse({ next_attempt_at: text }).next_attempt_at).toBe(expected);
  expect(recoverWebhookSchema.parse({ since: text, until: text })).toEqual({
    since: expected,
    until: expected,
  });
});

test.each(['2024-01-10T12:01:30 01:00', '2024-01-10T12:01:30.5 0100'])(
  'a time with a space where a URL did not encode the + is refused with that advice: %j',
  (text) => {
    expect(timeSchema.safeParse(text).error?.issues.map(({ message }) => message)).toEqual([
      'has a space in place of the + before its offset; in a URL, write + as %2B',
    ]);
  },
);

test.each([
  'soon',
  '',
  '2024-01-10',
  '2024-01-10T12:01:30',
  '2024-02-30T00:00:00Z',
  '2024-01-10T12:01:61Z',
  '9999-12-31T23:59:60Z',
  '2024-13-10T12:01:60Z',
])('%j is not a valid time', (text) => {
  expect(timeSchema.safeParse(text).error?.issues.map(({ message }) => message)).toEqual([
    'must be a time such as 2024-01-10T12:01:30Z or 2024-01-10T13:01:30+01:00',
  ]);
  expect(normalizeTime(text)).not.toContain('NaN');
});
