import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mayShare, nextFailedShare } from '../../src/delivery/permits.ts';
import { groupSize, formGroups } from '../../src/domain/group.ts';
import { newId } from '../../src/domain/ids.ts';

const delivery = () => ({ id: newId('dlv') });
const many = (count: number) => Array.from({ length: count }, delivery);

test('a group has as many as may, and at least one', () => {
  expect(groupSize([], 64)).toBe(0);
  expect(groupSize(many(1), 64)).toBe(1);
  expect(groupSize(many(40), 64)).toBe(40);
  expect(groupSize(many(40), 39)).toBe(39);
  expect(groupSize(many(40), 1)).toBe(1);
});

test('the ids of a group fit in a search attribute', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), (count) => {
      const size = groupSize(many(count), 64);
      expect(size).toBe(Math.min(count, 60));
      const ids = many(count).slice(0, size);
      expect(JSON.stringify(ids.map(({ id }) => id)).length).toBeLessThanOrEqual(2048);
    }),
  );
});

test('the bodies of a group have at most 2 MiB together', () => {
  const large = many(20).map((each) => ({ ...each, bodyBytes: 256 * 1024 }));
  expect(groupSize(large, 64)).toBe(8);
  expect(groupSize([{ ...delivery(), bodyBytes: 5_000_000 }, ...large], 64)).toBe(1);
});

test('a queue is cut into groups in its order; deliveries beyond the last group are left', () => {
  const queue = many(150);
  const groups = formGroups(queue, 50, 2);
  expect(groups.map(({ length }) => length)).toEqual([50, 50]);
  expect(groups.flat()).toEqual(queue.slice(0, 100));
  expect(formGroups([], 50, 2)).toEqual([]);
});

test('a webhook that hangs or rejects shares no workflow, until it does well again', () => {
  const well = { averageMs: 1000, failedShare: 0, oldestMs: 1000 };
  expect(mayShare(well)).toBe(true);
  expect(mayShare({ ...well, averageMs: 1001 })).toBe(false);
  // One that does not respond at all is known before its first time-out.
  expect(mayShare({ ...well, oldestMs: 1001 })).toBe(false);
  const failures = (count: number) =>
    Array.from({ length: count }).reduce<number>((share) => nextFailedShare(share, true), 0);
  expect(mayShare({ ...well, failedShare: failures(1) })).toBe(true);
  expect(mayShare({ ...well, failedShare: failures(2) })).toBe(false);
  expect(mayShare({ ...well, failedShare: nextFailedShare(failures(2), false) })).toBe(true);
});
