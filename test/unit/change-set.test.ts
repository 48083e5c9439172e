import { expect, test } from 'vitest';
import { maxChangedIds, mergeChanges } from '../../src/contracts/change.ts';
import { createChangeSet, decodeMessage, encodeMessage } from '../../src/domain/change-set.ts';

const ids = (count: number, from = 0) => Array.from({ length: count }, (_, index) => `dlv_${from + index}`);

test('changes of an account become one, and are forgotten when they are taken', () => {
  const set = createChangeSet({ maxAccounts: 10, maxIds: maxChangedIds });
  set.add('one', ['events', 'deliveries'], ['evt_1', 'dlv_1']);
  set.add('one', ['deliveries'], ['dlv_1', 'dlv_2']);
  set.add('other', ['webhooks'], ['wh_1']);
  expect(set.take()).toEqual(
    new Map([
      ['one', { topics: ['events', 'deliveries'], ids: ['evt_1', 'dlv_1', 'dlv_2'] }],
      ['other', { topics: ['webhooks'], ids: ['wh_1'] }],
    ]),
  );
  expect(set.take()).toEqual(new Map());
});

test('of more ids than a change may name, none is kept, also later', () => {
  const set = createChangeSet({ maxAccounts: 10, maxIds: maxChangedIds });
  set.add('one', ['deliveries'], ids(maxChangedIds));
  set.add('one', ['deliveries'], ['dlv_more']);
  set.add('one', ['deliveries'], ['dlv_later']);
  set.add('other', ['deliveries'], ids(maxChangedIds));
  set.add('unknown', ['webhooks'], null);
  const taken = set.take() as Map<string, { ids: string[] | null }>;
  expect([taken.get('one')?.ids, taken.get('other')?.ids?.length, taken.get('unknown')?.ids]).toEqual([
    null,
    maxChangedIds,
    null,
  ]);
});

test('of more accounts than it may hold, it keeps that everything may have changed, until it is taken', () => {
  const set = createChangeSet({ maxAccounts: 2, maxIds: maxChangedIds });
  for (const account of ['a', 'b', 'a']) set.add(account, ['events'], ['evt_1']);
  expect((set.take() as Map<string, unknown>).size).toBe(2);
  for (const account of ['a', 'b', 'c', 'a']) set.add(account, ['events'], ['evt_1']);
  expect(set.take()).toBe('everything');
  expect(set.take()).toEqual(new Map());
});

test('two changes are merged within the same bounds', () => {
  const one = { topics: ['events' as const], ids: ['evt_1'] };
  expect(mergeChanges(null, one)).toEqual(one);
  expect(mergeChanges(one, { topics: ['events', 'deliveries'], ids: ['evt_1', 'dlv_1'] })).toEqual({
    topics: ['events', 'deliveries'],
    ids: ['evt_1', 'dlv_1'],
  });
  expect(mergeChanges(one, { topics: ['events'], ids: null }).ids).toBeNull();
  expect(
    mergeChanges({ topics: ['deliveries'], ids: ids(40) }, { topics: ['deliveries'], ids: ids(11, 40) }).ids,
  ).toBeNull();
});

test('a message never has more bytes than a notification of PostgreSQL may', () => {
  const change = { topics: ['deliveries' as const], ids: ids(maxChangedIds).map((id) => id.padEnd(30, 'ä')) };
  const of = (accounts: number) =>
    Object.fromEntries(
      Array.from({ length: accounts }, (_, index) => [`acc_${index}`.padEnd(30, 'x'), change]),
    );
  for (const accounts of [1, 2, 5, 50, 500, 5000]) {
    const text = encodeMessage({ changes: of(accounts) });
    expect(Buffer.byteLength(text)).toBeLessThan(8000);
    expect(decodeMessage(text)).not.toBeNull();
  }
  expect(decodeMessage(encodeMessage({ changes: of(1) }))).toEqual({ changes: of(1) });
  const some = decodeMessage(encodeMessage({ changes: of(50) })) as {
    changes: Record<string, { ids: null }>;
  };
  expect(Object.values(some.changes).map((each) => each.ids)).toEqual(Array(50).fill(null));
  expect(decodeMessage(encodeMessage({ changes: of(500) }))).toEqual({ changes: 'all' });
  const watched = { by: 'p', number: 1, watch: Object.keys(of(5000)) };
  expect(decodeMessage(encodeMessage(watched))).toEqual({ by: 'p', number: 1, watch: 'all' });
});

test('a foreign notification on the channel is no message', () => {
  for (const text of ['', 'x', '1', 'null', '[]', '{}', '{"a":1}']) expect(decodeMessage(text)).toBeNull();
});
