import { expect, test } from 'vitest';
import {
  connectionsFor,
  processesFor,
  processesWithin,
  restartPauseMs,
} from '../../src/supervisor/process-count.ts';

const gibibytes = (count: number) => count * 2 ** 30;

test.each([
  [1, 64, 1],
  [2, 64, 1],
  [3, 64, 1],
  [4, 64, 2],
  [8, 64, 4],
  [8, 3.9, 3],
  [8, 0.5, 1],
  [32, 64, 16],
  [128, 512, 16],
])('%i cores and %f GiB: %i processes', (cores, memory, expected) => {
  expect(processesFor({ cores, memoryBytes: gibibytes(memory) })).toBe(expected);
});

test('the processes of a server with so many connections fit into them, and one more does not', () => {
  for (const connections of [60, 97, 100, 200, 397, 1000]) {
    const count = processesWithin(connections, 20);
    expect([connectionsFor(count, 20) <= connections, connectionsFor(count + 1, 20) <= connections]).toEqual([
      true,
      false,
    ]);
  }
  // There is always one, as if it were alone.
  expect(processesWithin(20, 20)).toBe(1);
});

test('the pause before a restart grows up to 30 s', () => {
  expect([0, 1, 2, 3, 4, 5, 6, 7, 50, 5000].map(restartPauseMs)).toEqual([
    0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000,
  ]);
});
