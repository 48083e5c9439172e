import { expect, test } from 'vitest';
import type { Found } from '../../src/contracts/search.ts';
import { bestOf, countText, groupsOf } from '../../src/dashboard/components/search/search-results.ts';

const at = '2024-01-10T12:05:00.000Z';
const webhook: Found = {
  type: 'webhook',
  id: 'wh_1',
  url: 'https://your-app.com/fltr',
  external_id: 'customer-1',
  active: false,
};
const event = (id: string): Found => ({ type: 'event', id, event: 'document.processed', created_at: at });
const attempt: Found = {
  type: 'attempt',
  id: 'att_1',
  delivery_id: 'dlv_1',
  webhook_id: 'wh_1',
  number: 2,
  outcome: 'retry',
  status_code: null,
  started_at: at,
};

test('results are grouped by kind, in the order of their best result', () => {
  const groups = groupsOf([event('a'), webhook, event('b'), attempt]);
  expect(groups.map(({ name, results }) => [name, ...results.map(({ path }) => path)])).toEqual([
    ['Events', '/events/a', '/events/b'],
    ['Webhooks', '/webhooks/wh_1'],
    ['Attempts', '/log/dlv_1'],
  ]);
  expect(groups[1]?.results[0]).toMatchObject({
    title: 'your-app.com/fltr',
    details: 'customer-1 · not active',
  });
  expect(groups[2]?.results[0]).toMatchObject({ title: 'Attempt 2 · no response', hash: 'attempt-2' });
  const operation: Found = {
    type: 'operation',
    id: 'op_1',
    action: 'retry',
    status: 'running',
    created_at: at,
  };
  expect(groupsOf([operation])[0]?.results[0]).toMatchObject({
    title: 'Retry · running',
    path: '/operations/op_1',
  });
});

test('Enter opens the only result or the one with exactly this id, and nothing else', () => {
  expect(bestOf([], 'a')).toBeNull();
  expect(bestOf([event('a')], 'doc_1')?.path).toBe('/events/a');
  expect(bestOf([event('a'), event('b')], 'a')?.path).toBe('/events/a');
  expect(bestOf([webhook, event('b')], 'customer-1')?.path).toBe('/webhooks/wh_1');
  expect(bestOf([event('a'), event('b')], 'b')).toBeNull();
  expect(bestOf([webhook, event('b')], 'your-app.com')).toBeNull();
});

test('the number of results is shown in words', () => {
  expect([0, 1, 2, 20].map(countText)).toEqual(['No results', '1 result', '2 results', 'First 20 results']);
});
