import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createBatcher } from '../src/db/batcher.ts';

test('a lone call goes at once; what comes while batches are under way goes together, at most maxSize', async () => {
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
  const settled = await Promise.allSettled([1, 13, 3].map(one));
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  runs = 0;
  const away = check(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
  const all = await Promise.allSettled([1, 13, 3].map(away));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(runs).toBe(1);
});
