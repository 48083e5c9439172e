import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createBatcher } from '../../src/db/batcher.ts';

test('a single call runs at once; calls during a batch run together, at most maxSize', async () => {
  const batches: number[][] = [];
  const double = createBatcher<number, number>({
    maxSize: 3,
    concurrency: 1,
    async run(inputs) {
      batches.push(inputs);
      await delay(10);
      return inputs.map((input) => input * 2);
    },
  });
  const first = double(1);
  await Promise.resolve();
  const rest = [2, 3, 4, 5, 6].map(double);
  expect(await Promise.all([first, ...rest])).toEqual([2, 4, 6, 8, 10, 12]);
  expect(batches.map((batch) => batch.length).every((size) => size <= 3)).toBe(true);
  expect(batches.flat()).toEqual([1, 2, 3, 4, 5, 6]);
  expect(batches.length).toBeLessThan(6);
});

test('a bad input fails alone; with the database away, all of a batch fail at once', async () => {
  let runs = 0;
  const check = (error: Error) =>
    createBatcher<number, number>({
      maxSize: 10,
      concurrency: 1,
      async run(inputs) {
        runs += 1;
        await delay(1);
        if (inputs.includes(13)) throw error;
        return inputs;
      },
    });
  const one = check(new Error('value out of range'));
  const results = await Promise.allSettled([1, 13, 3].map(one));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  runs = 0;
  const away = check(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
  const all = await Promise.allSettled([1, 13, 3].map(away));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(runs).toBe(1);
});

test('inputs count by their weight; a heavier one than a batch holds goes alone', async () => {
  const batches: number[][] = [];
  const run = createBatcher<number, number>({
    maxSize: 10,
    concurrency: 1,
    weightOf: (weight) => weight,
    async run(inputs) {
      batches.push(inputs);
      await delay(1);
      return inputs;
    },
  });
  await Promise.all([4, 6, 1, 25, 9, 1, 0, 1].map(run));
  expect(batches).toEqual([[4, 6], [1], [25], [9, 1, 0], [1]]);
});

test('a batcher bounds the unfinished work by weight and by bytes, and finished work frees capacity', async () => {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const run = createBatcher<{ weight: number; bytes: number }, 'done' | 'full'>({
    maxSize: 1,
    concurrency: 1,
    weightOf: ({ weight }) => weight,
    limit: { weight: 5, bytes: 100, bytesOf: ({ bytes }) => bytes, whenFull: 'full' },
    async run(inputs) {
      await released;
      return inputs.map(() => 'done' as const);
    },
  });
  const full = async (weight: number, bytes: number) => expect(await run({ weight, bytes })).toBe('full');
  const first = run({ weight: 3, bytes: 60 });
  // Calls under way count as well.
  await delay(5);
  await full(3, 0);
  await full(0, 41);
  const second = run({ weight: 2, bytes: 40 });
  await full(1, 0);
  await full(0, 1);
  release();
  await Promise.all([first, second]);
  await run({ weight: 5, bytes: 100 });
});
