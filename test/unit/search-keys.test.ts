import { expect, test } from 'vitest';
import { searchKey, dataIdsOf } from '../../src/domain/search-keys.ts';

test('texts of members named id, or whose name ends in _id, of the data itself', () => {
  const data = {
    id: 'a',
    document_id: 'b',
    other_id: 'b',
    userId: 'c',
    ids: ['d'],
    number_id: 5,
    empty_id: '',
  };
  expect(dataIdsOf({ ...data, owner: { id: 'e' } })).toEqual(['a', 'b']);
  expect(dataIdsOf({})).toEqual([]);
});

test('the first 8, of at most 200 characters', () => {
  const nine = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`n${index}_id`, `v${index}`]));
  expect(dataIdsOf(nine)).toEqual(Object.values(nine).slice(0, 8));
  const [longest, tooLong] = ['x'.repeat(200), 'x'.repeat(201)];
  expect(dataIdsOf({ a_id: tooLong, b_id: longest })).toEqual([longest]);
});

test('a key is of one account and one id, and fits into 64 bits', () => {
  const keys = [searchKey('acc_1', 'a'), searchKey('acc_1', 'b'), searchKey('acc_2', 'a')];
  expect(new Set(keys).size).toBe(3);
  expect(searchKey('acc_1', 'a')).toBe(keys[0]);
  for (const key of keys) expect(BigInt.asIntN(64, BigInt(key)).toString()).toBe(key);
});
