import { expect, test } from 'vitest';
import type { WebhookFilter } from '../../src/contracts/filter.ts';
import type { Webhook } from '../../src/contracts/webhook.ts';
import {
  filterDraftOf,
  filterIn,
  pathsOf,
  shownAs,
  valueIn,
} from '../../src/dashboard/policy/filter-draft.ts';
import {
  defaultPolicy,
  newPolicyIn,
  policyChangeIn,
  policyDraftOf,
  type PolicyDraft,
} from '../../src/dashboard/policy/policy-draft.ts';
import { filterText, policyNames, retryText } from '../../src/dashboard/policy/policy-text.ts';
import { waitsIn, waitsText } from '../../src/dashboard/policy/waits.ts';

const plain = {
  retry: { preset: 'page' },
  timeout_ms: null,
  headers: {},
  auth: null,
  filter: null,
  rate_limit: null,
  max_concurrent: null,
  signatures: ['v1'],
  probe_when_down: false,
  ordering: null,
  on_failure: 'skip',
} as unknown as Webhook;
const full = {
  ...plain,
  retry: { schedule_seconds: [5, 300, 7200], also: ['429'], jitter: 0.07, on_gone: 'disable' },
  timeout_ms: 10_000,
  headers: { 'X-Api-Key': { set: true } },
  auth: { type: 'basic', username: 'acme' },
  filter: { any: [{ path: '/data/amount', op: 'gte', value: 100 }] },
  rate_limit: { attempts: 10, seconds: 60 },
  max_concurrent: 4,
  signatures: ['v1', 'v1a'],
  probe_when_down: true,
  ordering: 'by_key',
  on_failure: 'block',
} as unknown as Webhook;

/** The body that the form sends after a change of its fields. */
function changeOf(webhook: Webhook, change: Partial<PolicyDraft>) {
  const before = policyDraftOf(webhook);
  return policyChangeIn({ ...before, ...change }, before);
}

test('fields that are not touched are not sent, for any webhook', () => {
  expect(changeOf(plain, {})).toEqual({});
  expect(changeOf(full, {})).toEqual({});
  expect(newPolicyIn(defaultPolicy)).toEqual({});
});

test('the form of a webhook holds its whole policy: sent to a plain one, it is the same', () => {
  const draft = policyDraftOf(full);
  const sent = policyChangeIn(draft, policyDraftOf(plain));
  const { headers: _headers, auth: _auth, ...rest } = full;
  // Secret values cannot be read, so they are not sent.
  expect(sent).toEqual(rest);
  expect(newPolicyIn(draft)).toEqual(rest);
});

test('a field that is emptied is sent as null', () => {
  const emptied = { ...defaultPolicy, headers: [] };
  expect(changeOf(full, emptied)).toEqual({
    retry: { preset: 'page' },
    timeout_ms: null,
    headers: { 'X-Api-Key': null },
    auth: null,
    filter: null,
    rate_limit: null,
    max_concurrent: null,
    signatures: null,
    probe_when_down: null,
    ordering: null,
    on_failure: null,
  });
});

test('headers are kept, replaced, added and removed one by one', () => {
  const two = { ...full, headers: { 'X-One': { set: true }, 'X-Two': { set: true } } } as unknown as Webhook;
  const [one, second] = policyDraftOf(two).headers;
  if (!one || !second) throw new Error('unreachable');
  const added = { name: ' X-Three ', value: '3', isSet: false };
  expect(changeOf(two, { headers: [one, { ...second, value: 'new' }, added] }).headers).toEqual({
    'X-Two': 'new',
    'X-Three': '3',
  });
  expect(changeOf(two, { headers: [second] }).headers).toEqual({ 'X-One': null });
  // Removed and written again: replaced.
  expect(changeOf(two, { headers: [second, { ...added, name: 'X-One' }] }).headers).toEqual({ 'X-One': '3' });
  expect(changeOf(two, { headers: [one, second, { name: '', value: '', isSet: false }] })).toEqual({});
  expect(() => changeOf(two, { headers: [{ name: '', value: 'x', isSet: false }] })).toThrow(
    'Write the name of each header.',
  );
});

test('authentication is sent as a whole, and an optional field only if it is filled in', () => {
  const oauth2 = {
    type: 'oauth2' as const,
    isKept: false,
    fields: {
      token_url: 'https://a/token',
      client_id: 'id',
      client_secret: 's',
      scope: '',
      username: 'left',
    },
  };
  expect(changeOf(full, { auth: oauth2 }).auth).toEqual({
    type: 'oauth2',
    token_url: 'https://a/token',
    client_id: 'id',
    client_secret: 's',
  });
  expect(changeOf(full, { auth: { ...oauth2, type: 'basic', fields: {} } }).auth).toEqual({
    type: 'basic',
    username: '',
    password: '',
  });
});

test('waiting deliveries get a schedule only together with it', () => {
  expect(changeOf(plain, { appliesToWaiting: true })).toEqual({
    retry: { preset: 'page' },
    apply_to: 'waiting',
  });
});

test.each([
  [{ timeoutMs: 'soon' }, '/timeout_ms'],
  [{ rateAttempts: 'x' }, '/rate_limit/attempts'],
  [{ rateAttempts: '1', rateSeconds: 'y' }, '/rate_limit/seconds'],
  [
    { retry: { ...defaultPolicy.retry, preset: 'own' as const, schedule: '5, x' } },
    '/retry/schedule_seconds',
  ],
  [{ retry: { ...defaultPolicy.retry, jitterPercent: 'z' } }, '/retry/jitter'],
  [{ filter: { ...defaultPolicy.filter, kind: 'json' as const, text: '[1]' } }, '/filter'],
  [{ filter: { ...defaultPolicy.filter, kind: 'json' as const, text: '{' } }, '/filter'],
])('%j is refused at its field, %s', (change, pointer) => {
  expect(() => changeOf(plain, change)).toThrow(
    expect.objectContaining({ status: 422, errors: [expect.objectContaining({ pointer })] }),
  );
});

test('waits have units, or are seconds', () => {
  expect(waitsIn('5, 5 min, 30m, 2h, 10 s')).toEqual([5, 300, 1800, 7200, 10]);
  expect(waitsIn(' ')).toEqual([]);
  for (const text of ['5,', 'x', '5 days', '1.5 h', '-5'])
    expect([text, waitsIn(text)]).toEqual([text, null]);
  expect(waitsText([5, 90, 300, 7200])).toBe('5 s, 90 s, 5 min, 2 h');
  expect(waitsIn(waitsText([5, 90, 300, 7200, 86_400]))).toEqual([5, 90, 300, 7200, 86_400]);
});

test.each<WebhookFilter>([
  { all: [{ path: '/data/a', op: 'eq', value: 'paid' }] },
  { any: [{ path: '/data/a', op: 'eq', value: '42' }] },
  { all: [{ path: '/data/a', op: 'ne', value: null }] },
  { all: [{ path: '/data/a', op: 'eq', value: ' with space ' }] },
  { all: [{ path: '/data/a', op: 'in', value: ['x', 1, true, '1'] }] },
  { all: [{ path: '/labels', op: 'exists', value: false }] },
  { all: [{ path: '/labels', op: 'exists', value: true }] },
  { all: [{ path: '/data/a', op: 'prefix', value: '4' }] },
  { all: [{ path: '/data/a', op: 'gt', value: 1.5 }] },
])('the builder shows %j and means the same', (filter) => {
  const draft = filterDraftOf(filter);
  expect(draft.kind).toBe('list');
  expect(filterIn(draft, [])).toEqual(filter);
  expect(shownAs(shownAs(draft, 'json'), 'list')).toMatchObject({
    kind: 'list',
    conditions: draft.conditions,
  });
});

test.each<WebhookFilter>([
  { not: { path: '/data/a', op: 'eq', value: 1 } },
  { all: [{ any: [{ path: '/data/a', op: 'eq', value: 1 }] }] },
  { all: [{ path: '/data/a', op: 'in', value: ['a,b'] }] },
])('%j is more than the builder shows: it stays as JSON', (filter) => {
  const draft = filterDraftOf(filter);
  expect(draft.kind).toBe('json');
  expect(filterIn(draft, [])).toEqual(filter);
  // The builder begins with one condition, and the text is still there.
  const list = shownAs(draft, 'list');
  expect(list.conditions).toHaveLength(1);
  expect(list.text).toBe(draft.text);
});

test('a value that looks like a number is one, unless it is in quotes', () => {
  expect(['42', '"42"', 'true', '"true"', 'paid', ' paid ', '{}', ''].map(valueIn)).toEqual([
    42,
    '42',
    true,
    'true',
    'paid',
    'paid',
    '{}',
    '',
  ]);
});

test('paths are offered from the examples of the types', () => {
  expect(pathsOf([{ a: { 'b/c': 1 }, list: [{ d: 1 }] }, { a: 2 }, null])).toEqual([
    '/event',
    '/labels',
    '/data/a/b~1c',
    '/data/list',
    '/data/a',
    '/data',
  ]);
});

test('a policy in words', () => {
  expect(retryText(plain)).toBe(null);
  expect(retryText(full)).toBe('After 5 s, 5 min, 2 h, also after 429, jitter 7%, 410 disables the webhook');
  expect(retryText({ retry: { preset: 'none' } })).toBe('No retries');
  expect(retryText({ retry: { preset: 'page', also: ['4xx'] } })).toBe('As the service, also after 4xx');
  expect(policyNames(plain)).toEqual([]);
  expect(policyNames(full)).toHaveLength(10);
  expect(filterText({ all: [{ path: '/labels', op: 'exists', value: false }] })).toEqual({
    join: 'all of',
    conditions: ['/labels does not exist'],
  });
});
