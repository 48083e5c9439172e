import { expect, test } from 'vitest';
import type { DeliveryStatus, DeliverySummary } from '../../src/contracts/delivery.ts';
import { effectText, paceText } from '../../src/dashboard/log/bulk-text.ts';
import { csvCell, csvHead, csvLine } from '../../src/dashboard/log/csv.ts';
import { countOf } from '../../src/dashboard/log/counts.ts';
import { retryReason } from '../../src/dashboard/log/retry-reason.ts';
import {
  idsBetween,
  isSelected,
  nothing,
  selectAll,
  setRows,
  targetOf,
} from '../../src/dashboard/log/selection.ts';

const at = '2026-01-10T12:00:00.500Z';
const row = (id: string, status: DeliveryStatus = 'failed') => ({
  id,
  status,
  created_at: at,
  blocks_line: null,
});
const rows = [row('d'), row('c', 'delivered'), row('b', 'retrying'), row('a', 'held')];

test('rows are selected one by one, as a range in either direction, and left out of everything', () => {
  const two = setRows(setRows(nothing, rows, ['a'], true), rows, ['c'], true);
  expect(rows.map(({ id }) => isSelected(two, id))).toEqual([false, true, false, true]);
  expect(setRows(two, rows, ['c'], false)).toEqual({ kind: 'rows', ids: new Set(['a']) });
  expect(idsBetween(rows, 'd', 'b')).toEqual(['d', 'c', 'b']);
  expect(idsBetween(rows, 'b', 'd')).toEqual(['d', 'c', 'b']);
  // The row before was filtered out meanwhile.
  expect(idsBetween(rows, 'gone', 'b')).toEqual(['b']);
  const all = selectAll({}, rows, Date.parse(at));
  expect(setRows(all, rows, ['d'], false)).toEqual({ kind: 'rows', ids: new Set(['c', 'b', 'a']) });
});

test('everything that matches ends at the selection, and contains the newest row with any clock', () => {
  const now = Date.parse('2026-01-10T12:30:00Z');
  expect(selectAll({}, rows, now)).toEqual({
    kind: 'all',
    since: '1970-01-01T00:00:00.000Z',
    until: '2026-01-10T12:30:00.000Z',
  });
  expect(selectAll({}, rows, now - 86_400_000)).toMatchObject({ until: '2026-01-10T12:00:00.501Z' });
  const until = '2026-01-10T12:10:00.000Z';
  expect(selectAll({ since: at, until }, rows, now)).toEqual({ kind: 'all', since: at, until });
  expect(selectAll({ until: '2027-01-01T00:00:00.000Z' }, rows, now)).toMatchObject({
    until: '2026-01-10T12:30:00.000Z',
  });
});

test('an action gets the rows that allow it, or a reason why there are none', () => {
  const all = setRows(
    nothing,
    rows,
    rows.map(({ id }) => id),
    true,
  );
  expect(targetOf('retry', all, rows, {})).toEqual({ filter: { ids: ['d', 'b'] }, leftOut: 2 });
  expect(targetOf('cancel', all, rows, {})).toEqual({ filter: { ids: ['b', 'a'] }, leftOut: 2 });
  expect(targetOf('resend', all, rows, {})).toEqual({ filter: { ids: ['d', 'c'] }, leftOut: 2 });
  const blocking = { ...row('e'), blocks_line: { since: at, waiting: 1 } };
  const both = setRows(nothing, [blocking, ...rows], ['e', 'd'], true);
  expect(targetOf('cancel', both, [blocking, ...rows], {})).toEqual({ filter: { ids: ['e'] }, leftOut: 1 });
  expect(targetOf('reschedule', setRows(nothing, rows, ['d'], true), rows, {})).toEqual({
    reason: 'Only pending and retrying deliveries can be rescheduled.',
  });
  const many = Array.from({ length: 1001 }, (_, index) => row(`dlv_${index}`));
  const each = setRows(
    nothing,
    many,
    many.map(({ id }) => id),
    true,
  );
  expect(targetOf('retry', each, many, {})).toEqual({
    reason: 'At most 1000 deliveries can be selected one by one. Select all that match.',
  });
});

test('an action on everything sends the filters and the fixed times', () => {
  const search = { status: 'failed', code: '5xx', error: 'server_error', last: '24h' } as const;
  const now = Date.parse('2026-01-10T12:30:00Z');
  const all = selectAll({ ...search, last: undefined, since: at }, rows, now);
  expect(targetOf('retry', all, rows, search)).toEqual({
    filter: {
      status: 'failed',
      code: '5xx',
      error: 'server_error',
      since: at,
      until: '2026-01-10T12:30:00.000Z',
    },
    leftOut: 0,
  });
  expect(targetOf('cancel', all, rows, search)).toEqual({
    reason: 'Only pending, retrying and held deliveries can be canceled.',
  });
});

test('an action on everything of an event, of an operation, or deferred sends these filters', () => {
  const search = { event_id: 'evt_1', operation_id: 'op_1', webhook_id: 'wh_1', deferred: true } as const;
  const all = selectAll({ ...search, since: at }, rows, Date.parse('2026-01-10T12:30:00Z'));
  const until = '2026-01-10T12:30:00.000Z';
  expect(targetOf('cancel', all, rows, search)).toEqual({
    filter: { event_id: 'evt_1', operation_id: 'op_1', webhook_id: 'wh_1', deferred: true, since: at, until },
    leftOut: 0,
  });
});

test('texts count in words', () => {
  expect(effectText('cancel', 1)).toMatch(/^1 delivery will be canceled\./);
  expect(effectText('resend', 1200)).toMatch(/^1,200 deliveries will be sent again, also if they were/);
  expect(paceText(36, 50)).toMatch(/^Takes about 1 s\./);
  expect(paceText(6000, 50)).toMatch(/^Takes about 2 min\./);
  const counts = { pending: 0, retrying: 3, delivered: 10_000, failed: 2, held: 0, canceled: 0 };
  expect(countOf({ counts, limit: 10_000 }, 'failed')).toBe('2');
  expect(countOf({ counts, limit: 10_000 }, 'delivered')).toBe('10,000+');
  expect(countOf({ counts, limit: 10_000 }, undefined)).toBe('10,005+');
});

test('a retry that cannot work has a reason', () => {
  const active = { active: true, auto_disabled: null };
  for (const status of ['pending', 'retrying', 'failed'] as const)
    expect(retryReason({ status }, active)).toBeUndefined();
  for (const status of ['delivered', 'held', 'canceled'] as const)
    expect(retryReason({ status }, active)).toEqual(expect.any(String));
  expect(retryReason({ status: 'failed' }, { active: false, auto_disabled: null })).toMatch(/is paused/);
  expect(retryReason({ status: 'failed' }, undefined)).toMatch(/deleted/);
  const waitsFor = { reason: 'order', delivery_id: 'dlv_1' } as const;
  expect(retryReason({ status: 'pending', waits_for: waitsFor }, active)).toMatch(/delivery before it/);
});

test.each([
  ['=1+1', `'=1+1`],
  ['+1', `'+1`],
  ['-1', `'-1`],
  ['@SUM(A1)', `'@SUM(A1)`],
  ['\t=1', `'\t=1`],
  [' =1', `' =1`],
  ['\r=1', `"'\r=1"`],
  ['=HYPERLINK("https://x")', `"'=HYPERLINK(""https://x"")"`],
  ['a,b', '"a,b"'],
  ['say "hi"', '"say ""hi"""'],
  ['two\nlines', '"two\nlines"'],
  ['plain', 'plain'],
  ['', ''],
  [-5, '-5'],
])('a cell of CSV is text and never a formula: %j', (value, cell) => {
  expect(csvCell(value)).toBe(cell);
});

test('a line of CSV has a value for each column', () => {
  const delivery: DeliverySummary = {
    id: 'dlv_1',
    event_id: '-evt',
    event: 'order.paid',
    webhook_id: 'wh_1',
    status: 'failed',
    reason: 'client_error',
    created_at: at,
    next_attempt_at: null,
    ended_at: at,
    expires_at: null,
    order_key: null,
    blocks_line: null,
    waits_for: null,
    attempt_count: 1,
    last_status_code: 404,
    last_error_code: 'client_error',
  };
  expect(csvHead.trim().split(',')).toHaveLength(13);
  expect(csvLine(delivery, () => 'https://a.example/?a=1,2')).toBe(
    `dlv_1,'-evt,order.paid,wh_1,"https://a.example/?a=1,2",failed,client_error,${at},,${at},1,404,client_error\r\n`,
  );
  expect(csvLine(delivery, () => undefined)).toContain(',wh_1,,failed,');
});
