import { expect, test } from 'vitest';
import {
  cpuBetween,
  isDisturbed,
  median,
  percentile,
  treesOf,
  type CpuSnapshot,
  type ProcessTimes,
} from '../../bench/measure.ts';
import { byPart, headlineOf, mediansOf, noFigures, type Part } from '../../bench/report.ts';

test('percentiles are those of the nearest rank', () => {
  expect(percentile([], 50)).toBe(null);
  expect(percentile([7], 50)).toBe(7);
  expect(percentile([7], 99)).toBe(7);
  expect(percentile([2, 1], 50)).toBe(1);
  expect(percentile([10, 9, 1], 100)).toBe(10);
  expect(percentile([3, 1, 2], 0)).toBe(1);
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(percentile(hundred, 99)).toBe(99);
  expect(percentile([...hundred, 101], 99)).toBe(100);
});

test('the median of an even count is the mean of the middle two', () => {
  expect(median([])).toBe(null);
  expect(median([3])).toBe(3);
  expect(median([10, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

test('a run is disturbed by more than 0.2 cores, not by just so many', () => {
  expect(isDisturbed(null)).toBe(false);
  expect(isDisturbed(0)).toBe(false);
  expect(isDisturbed(0.2)).toBe(false);
  expect(isDisturbed(0.201)).toBe(true);
});

test('the CPU time of others is all that ran or was stolen, without our own', () => {
  const at = (atMs: number, busyMs: number, ownMs: number, stolenMs: number): CpuSnapshot => ({
    atMs,
    busyMs,
    ownMs,
    stolenMs,
    parts: { node: ownMs / 2 },
  });
  expect(cpuBetween(at(0, 1000, 500, 10), at(10_000, 9000, 6500, 510))).toEqual({
    seconds: 10,
    otherCores: 0.25,
    partMs: { node: 3000 },
  });
  // Ticks: ours may seem to have taken more than all.
  expect(cpuBetween(at(0, 0, 0, 0), at(1000, 500, 510, 0))?.otherCores).toBe(0);
  expect(cpuBetween(at(5, 0, 0, 0), at(5, 10, 0, 0))?.otherCores).toBe(0);
  expect(cpuBetween(null, at(0, 0, 0, 0))).toBe(null);
});

test('a tree of processes is all below its root, in any order of the list', () => {
  const of = (parent: number) => ({ name: 'x', parent, cpuMs: 1 });
  const processes: ProcessTimes = new Map([
    [40, of(30)],
    [30, of(20)],
    [20, of(1)],
    [21, of(1)],
    [1, of(0)],
  ]);
  expect(new Set(treesOf(processes, [20]))).toEqual(new Set([20, 30, 40]));
  expect(new Set(treesOf(processes, [40, 20]))).toEqual(new Set([20, 30, 40]));
  expect(treesOf(processes, [99])).toEqual([]);
});

test('the cost of the product is that of its three parts, without load and receiver', () => {
  const parts = { node: 1, temporal: 2, postgresql: 3, load: 10, receiver: 10 };
  expect(byPart(parts, 2)).toMatchObject({ node: 0.5, all: 3, load: 5 });
  expect(byPart({ node: 1 }).all).toBe(1);
  expect(byPart(null).all).toBe(null);
  expect(byPart(parts, 0).all).toBe(null);
});

test('several runs are reported as medians, but with every loss and the worst disturbance', () => {
  const run = (deliveredPerSecond: number | null, lost: number, otherCores: number) => ({
    name: 'burst',
    deliveredPerSecond,
    lost,
    otherCores,
    isDisturbed: isDisturbed(otherCores),
    parts: [{ publishMs: { p50: deliveredPerSecond } }],
    refused: lost > 0 ? { '503': lost } : {},
  });
  expect(mediansOf([run(10, 0, 0), run(30, 1, 0.5), run(11, 0, 0.1)])).toEqual({
    name: 'burst',
    deliveredPerSecond: 11,
    lost: 1,
    otherCores: 0.5,
    isDisturbed: true,
    parts: [{ publishMs: { p50: 11 } }],
    refused: { '503': 1 },
  });
  expect(mediansOf([run(null, 0, 0), run(null, 0, 0)]).deliveredPerSecond).toBe(null);
});

test('the document has the figures of its first part, and the losses of all', () => {
  const part = (name: string, lost: number | null, otherCores: number): Part => ({
    name,
    ...noFigures,
    deliveredPerSecond: 5,
    lost,
    otherCores,
  });
  const parts = [part('first', 0, 0.1), part('second', 2, 0.3), part('third', null, 0)];
  expect(headlineOf(parts, parts[0])).toMatchObject({
    deliveredPerSecond: 5,
    lost: 2,
    repeated: null,
    otherCores: 0.3,
    isDisturbed: true,
  });
  expect(headlineOf([], undefined)).toEqual(noFigures);
});
