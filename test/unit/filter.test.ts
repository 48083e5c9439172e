import fc from 'fast-check';
import { expect, test } from 'vitest';
import { filterSchema, type FilterCondition, type WebhookFilter } from '../../src/contracts/filter.ts';
import { compileFilter, describeFailure, valuesOf } from '../../src/domain/filter.ts';
import { compareByCodePoint } from '../../src/domain/list-values.ts';
import { toFieldErrors } from '../../src/api/problem-details.ts';

const order = { event: 'order.paid', labels: ['eu', 'vip'] };
const passes = (filter: WebhookFilter, data: unknown, more: Partial<typeof order> = {}) =>
  compileFilter(filterSchema.parse(filter))(valuesOf({ ...order, ...more, data: () => data })) === null;
const condition = (op: string, value: unknown, path = '/data/v') => ({ path, op, value }) as FilterCondition;

test.each<[string, unknown, unknown[], unknown[]]>([
  ['eq', 'a', ['a', ['b', 'a']], ['A', ['b'], [['a']], { a: 'a' }, null]],
  ['eq', 1, [1, 1.0, [0, 1]], ['1', true, [1.5], 1.0000001]],
  ['eq', true, [true], [1, 'true', [false]]],
  ['eq', null, [null, [null]], [0, '', false, [], {}]],
  ['eq', 0, [0, -0, [-0]], ['', false, null]],
  ['ne', 'a', ['b', 1, null, [], {}, ['b']], ['a', ['b', 'a']]],
  ['in', ['a', 1, null], ['a', 1, null, ['x', null]], ['1', true, [], {}]],
  ['not_in', ['a', 1], ['b', '1', [], {}, null], ['a', 1, ['b', 1]]],
  ['gt', 10, [10.5, Infinity, [1, 11]], [10, '11', null, true, [], [9]]],
  ['gte', 10, [10, [1, 10]], [9.999, '10']],
  ['lt', 0, [-1, [5, -1]], [0, '-1', [], [0]]],
  ['lte', 0, [0, -0], [0.001]],
  ['gt', 'b', ['c', 'ba', ['a', 'c']], ['b', 'a', 'B', 3, []]],
  ['gt', '\uffff', ['😀', ['a', '😀']], ['\ufffe']],
  ['lte', 'b', ['b', 'a', '', ['z', 'a']], ['c', 1]],
  ['prefix', 'ab', ['ab', 'abc', ['x', 'abc']], ['a', 'Ab', 1, ['xab'], null]],
  ['suffix', 'ab', ['ab', 'cab', ['x', 'cab']], ['b', 'aB', 1, ['abx']]],
  ['exists', true, [1, null, [], {}, false, ''], []],
])('%s %j: events that meet it, and events that do not', (op, value, meeting, failing) => {
  const filter = condition(op, value);
  for (const v of meeting) expect([v, passes(filter, { v })]).toEqual([v, true]);
  for (const v of failing) expect([v, passes(filter, { v })]).toEqual([v, false]);
});

test('a path that leads nowhere meets ne, not_in and exists: false alone', () => {
  const met = (op: string, value: unknown) => passes(condition(op, value), {});
  expect(met('ne', 1)).toBe(true);
  expect(met('not_in', [1, null])).toBe(true);
  expect(met('exists', false)).toBe(true);
  for (const op of ['eq', 'gt', 'gte', 'lt', 'lte']) expect([op, met(op, 1)]).toEqual([op, false]);
  for (const op of ['prefix', 'suffix']) expect([op, met(op, 'x')]).toEqual([op, false]);
  expect(met('in', [1])).toBe(false);
  expect(met('eq', null)).toBe(false);
  expect(met('exists', undefined)).toBe(false);
});

test('a path is a JSON pointer into the event, its data or its labels', () => {
  const data = {
    'a/b': { '~': [10, { x: 'deep' }] },
    '': 'empty',
    '01': 'name',
    list: ['p', 'q'],
    length: 7,
  };
  const at = (path: string, value: unknown) => passes(condition('eq', value, path), data);
  expect(at('/data/a~1b/~0/0', 10)).toBe(true);
  expect(at('/data/a~1b/~0/1/x', 'deep')).toBe(true);
  expect(at('/data/', 'empty')).toBe(true);
  expect(at('/data/01', 'name')).toBe(true);
  expect(at('/data/length', 7)).toBe(true);
  expect(at('/event', 'order.paid')).toBe(true);
  expect(at('/labels', 'vip')).toBe(true);
  expect(at('/labels/0', 'eu')).toBe(true);
  for (const path of ['/data/list/01', '/data/list/-', '/data/list/2', '/data/list/length', '/data/list/x'])
    expect([path, passes(condition('exists', true, path), data)]).toEqual([path, false]);
  for (const path of [
    '/data/toString',
    '/data/constructor/name',
    '/data/__proto__',
    '/data/length/toFixed',
    '/data/list/0/0',
  ])
    expect([path, passes(condition('exists', true, path), data)]).toEqual([path, false]);
  expect(passes(condition('eq', 'own', '/data/__proto__'), JSON.parse('{"__proto__":"own"}'))).toBe(true);
});

test('whole numbers that JSON.parse cannot distinguish are never equal in a filter', () => {
  const parsed = (text: string) => JSON.parse(text) as unknown;
  const v = (text: string) => ({ v: parsed(text) });
  const largest = condition('eq', parsed('9007199254740991'));
  expect(passes(largest, v('9007199254740991'))).toBe(true);
  expect(passes(largest, v('9007199254740992'))).toBe(false);
  expect(passes(largest, v('9007199254740993'))).toBe(false);
  expect(passes(condition('gt', 9007199254740991), v('9007199254740992'))).toBe(true);
  for (const text of ['9007199254740992', '9007199254740993', '-9007199254740992', '1e300'])
    expect(filterSchema.safeParse(condition('eq', parsed(text))).success).toBe(false);
});

test('all, any and not; the condition that failed is the one to look at', () => {
  const [is1, is2, is3] = [1, 2, 3].map((value) => condition('eq', value)) as [
    FilterCondition,
    FilterCondition,
    FilterCondition,
  ];
  const failed = (filter: WebhookFilter) =>
    compileFilter(filter)(valuesOf({ ...order, data: () => ({ v: [1, 2] }) }));
  expect(failed({ all: [is1, is2] })).toBeNull();
  expect(failed({ any: [is3, is2] })).toBeNull();
  expect(failed({ not: is3 })).toBeNull();
  expect(failed({ all: [is1, is3] })).toEqual({ condition: is3, pointer: '/all/1' });
  expect(failed({ any: [is3] })).toEqual({ condition: is3, pointer: '/any/0' });
  const either = { any: [is3, { all: [is1, is3] }] };
  expect(failed({ all: [is2, either] })).toEqual({ condition: either, pointer: '/all/1' });
  expect(failed({ not: { any: [is1] } })).toEqual({ condition: { not: { any: [is1] } }, pointer: '' });
  expect(failed({ not: { not: is3 } })).toEqual({ condition: { not: { not: is3 } }, pointer: '' });
});

test('the reason why an event does not pass is in plain words', () => {
  const why = (filter: WebhookFilter, v?: unknown) => {
    const values = valuesOf({ ...order, data: () => (v === undefined ? {} : { v }) });
    const failed = compileFilter(filter)(values);
    return failed && describeFailure(failed, values);
  };
  expect(why(condition('gte', 100), 40)).toBe('The filter requires /data/v to be at least 100. It is 40.');
  expect(why(condition('eq', 'a'))).toBe('The filter requires /data/v to be "a". It is missing.');
  expect(why(condition('in', [1, 2, 3, 4, 5, 6]), [7, 8])).toBe(
    'The filter requires /data/v to be one of 1, 2, 3, 4, 5, …. It is a list of 2.',
  );
  expect(why(condition('prefix', 'x'), 'y'.repeat(500))).toBe(
    `The filter requires /data/v to begin with "x". It is "${'y'.repeat(100)}…".`,
  );
  expect(why(condition('exists', false), {})).toBe(
    'The filter requires /data/v to be missing. It is an object.',
  );
  expect(why({ any: [condition('eq', 1), condition('eq', 2)] }, 3)).toBe(
    'The filter requires one of 2 conditions under `any`. None holds.',
  );
  expect(why({ not: condition('eq', 1) }, 1)).toBe(
    'The filter requires that the conditions under `not` do not hold. They do.',
  );
});

const faultsOf = (filter: unknown) =>
  toFieldErrors(filterSchema.safeParse(filter).error as never, '/filter').map(
    ({ pointer, message }) => `${pointer}: ${message}`,
  );
const leaf = condition('eq', 1);
const nested = (levels: number): unknown => (levels === 1 ? leaf : { all: [nested(levels - 1)] });
const many = (count: number) => ({ any: Array.from({ length: count }, () => leaf) });

test('limits of a filter, at their edges', () => {
  const isValid = (filter: unknown) => filterSchema.safeParse(filter).success;
  expect([nested(5), nested(6)].map(isValid)).toEqual([true, false]);
  expect([many(50), many(51), { all: [many(25), many(26)] }].map(isValid)).toEqual([true, false, false]);
  const values = (length: number) =>
    condition(
      'in',
      Array.from({ length }, (_, index) => index),
    );
  expect([values(1), values(100), values(101), values(0)].map(isValid)).toEqual([true, true, false, false]);
  const text = (length: number) => condition('eq', 'x'.repeat(length));
  expect([text(0), text(1000), text(1001)].map(isValid)).toEqual([true, true, false]);
  const path = (length: number) => condition('eq', 1, `/data/${'x'.repeat(length - 6)}`);
  expect([path(500), path(501)].map(isValid)).toEqual([true, false]);
});

test('each fault of a filter has its pointer, and is reported once, in plain words', () => {
  const faults: [unknown, string[]][] = [
    ['x', ['/filter: filter must be an object']],
    [{}, ['/filter: filter must have all, any or not, or path, op and value']],
    [{ all: [] }, ['/filter/all: filter.all must have at least one condition']],
    [{ any: leaf }, ['/filter/any: filter.any must be a list']],
    [{ not: [leaf] }, ['/filter/not: filter.not must be an object']],
    [
      { all: [leaf], any: [leaf] },
      ['/filter: filter must have one of all, any and not alone, or path, op and value'],
    ],
    [
      { all: [leaf, { path: 'data/x', op: 'equals', value: 1 }] },
      [
        '/filter/all/1/path: filter.all[1].path must be /event, /labels, or lead into the data, such as /data/status',
        '/filter/all/1/op: filter.all[1].op must be one of eq, ne, in, not_in, gt, gte, lt, lte, prefix, suffix, exists',
      ],
    ],
    [{ path: '/data/x', op: 'eq' }, ['/filter/value: filter.value is missing']],
    [
      { op: 'eq', value: {}, extra: 1 },
      [
        '/filter/extra: filter.extra is not a known field',
        '/filter/path: filter.path is missing',
        '/filter/value: filter.value must be text, a number, true, false or null',
      ],
    ],
    [{ path: '/data/x', value: 1 }, ['/filter/op: filter.op is missing']],
    [condition('in', 'a'), ['/filter/value: filter.value must be a list']],
    [
      condition('in', ['a', []]),
      ['/filter/value/1: filter.value[1] must be text, a number, true, false or null'],
    ],
    [condition('gt', true), ['/filter/value: filter.value must be text or a number']],
    [condition('prefix', ''), ['/filter/value: filter.value must not be empty']],
    [condition('exists', 'yes'), ['/filter/value: filter.value must be true or false']],
    [condition('eq', 'a\0b'), ['/filter/value: filter.value must not contain the character U+0000']],
    [condition('eq', '\ud800'), ['/filter/value: filter.value must not contain half of a character']],
    [
      condition('eq', 1, '/data/~2'),
      ['/filter/path: filter.path must write ~ as ~0, and / within a name as ~1'],
    ],
    ...['', '/', '/dat', '/event/x', '/labels/x', '/labels/01', '/labels/0/1', '/id'].map(
      (path): [unknown, string[]] => [
        condition('eq', 1, path),
        ['/filter/path: filter.path must be /event, /labels, or lead into the data, such as /data/status'],
      ],
    ),
    [
      nested(6),
      [
        '/filter/all/0/all/0/all/0/all/0/all/0: filter.all[0].all[0].all[0].all[0].all[0] must not nest deeper than 5 levels',
      ],
    ],
    [many(60), ['/filter: filter must have at most 50 conditions']],
  ];
  for (const [filter, expected] of faults) expect([filter, faultsOf(filter)]).toEqual([filter, expected]);
});

/** The rules as the documentation states them, element by element. */
function holds(filter: WebhookFilter, root: Record<string, unknown>): boolean {
  if ('all' in filter) return filter.all.every((part) => holds(part, root));
  if ('any' in filter) return filter.any.some((part) => holds(part, root));
  if ('not' in filter) return !holds(filter.not, root);
  if (filter.op === 'ne') return !holds({ ...filter, op: 'eq' }, root);
  if (filter.op === 'not_in') return !holds({ ...filter, op: 'in' }, root);
  let value: unknown = root;
  for (const part of filter.path.slice(1).split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const isThere =
      typeof value === 'object' && value !== null && (Array.isArray(value) ? /^\d+$/.test(name) : true);
    value = isThere ? Object.entries(value as object).find(([key]) => key === name)?.[1] : undefined;
  }
  if (filter.op === 'exists') return (value !== undefined) === (filter.value ?? true);
  return (Array.isArray(value) ? (value as unknown[]) : [value]).some((each) => meets(filter, each));
}

function meets({ op, value: wanted }: FilterCondition, value: unknown): boolean {
  if (op === 'eq') return value === wanted;
  if (op === 'in') return wanted.some((each) => each === value);
  if (typeof value === 'number' && typeof wanted === 'number') return isOrdered(op, value - wanted);
  if (typeof value !== 'string' || typeof wanted !== 'string') return false;
  const [bytes, start] = [Buffer.from(value), Buffer.from(wanted)];
  if (op === 'prefix') return bytes.subarray(0, start.length).equals(start);
  if (op === 'suffix') return bytes.subarray(-start.length).equals(start);
  return isOrdered(op, Buffer.compare(bytes, start));
}

function isOrdered(op: string, order: number): boolean {
  if (order === 0) return op === 'gte' || op === 'lte';
  return order > 0 ? op === 'gt' || op === 'gte' : op === 'lt' || op === 'lte';
}

const word = fc.constantFrom('', 'a', 'b', 'ab', 'ba', 'aba', '\uffff', '😀', '😁', 'a😀', '\ue000');
const number = fc.constantFrom(-1, 0, -0, 1, 1.5, 2, 10);
const scalar = fc.oneof(word, number, fc.boolean(), fc.constant(null));
const name = fc.constantFrom('a', 'b', '0', '1', 'x/y', '~', '~1', '');
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4 }),
  ),
}));
const escape = (part: string) => part.replaceAll('~', '~0').replaceAll('/', '~1');
const path = fc.oneof(
  fc.constantFrom('/event', '/labels', '/labels/0', '/labels/1'),
  fc.array(name, { maxLength: 3 }).map((parts) => ['/data', ...parts.map(escape)].join('/')),
);
const leafOf = (op: fc.Arbitrary<string>, value: fc.Arbitrary<unknown>) =>
  fc.record({ path, op, value }) as fc.Arbitrary<unknown> as fc.Arbitrary<WebhookFilter>;
const { filter: anyFilter } = fc.letrec<{ filter: WebhookFilter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 4, depthSize: 'small', withCrossShrink: true },
    leafOf(fc.constantFrom('eq', 'ne'), scalar),
    leafOf(fc.constantFrom('in', 'not_in'), fc.array(scalar, { minLength: 1, maxLength: 4 })),
    leafOf(fc.constantFrom('gt', 'gte', 'lt', 'lte'), fc.oneof(word, number)),
    leafOf(
      fc.constantFrom('prefix', 'suffix'),
      word.filter((text) => text !== ''),
    ),
    leafOf(fc.constant('exists'), fc.boolean()),
    fc.record({ all: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ any: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ not: tie('filter') }),
  ),
}));

test('every filter decides as the rules do, and a condition that it reports as failed does fail', () => {
  fc.assert(
    fc.property(
      anyFilter,
      anyValue,
      fc.array(word, { maxLength: 3 }),
      word,
      (filter, data, labels, event) => {
        expect(filterSchema.safeParse(filter).success).toBe(true);
        const values = valuesOf({ event, labels, data: () => data });
        const failed = compileFilter(filter)(values);
        const root = { event, labels, data };
        expect(failed === null).toBe(holds(filter, root));
        if (failed === null) return;
        expect(holds(failed.condition, root)).toBe(false);
        expect(describeFailure(failed, values)).toMatch(/^The filter requires /);
        const [, ...parts] = failed.pointer.split('/');
        expect(parts.reduce((at: unknown, part) => (at as Record<string, unknown>)[part], filter)).toBe(
          failed.condition,
        );
      },
    ),
    { numRuns: 3000 },
  );
});

test('texts compare as their UTF-8 does', () => {
  const wellFormed = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed());
  fc.assert(
    fc.property(wellFormed, wellFormed, (one, other) => {
      expect(Math.sign(compareByCodePoint(one, other))).toBe(
        Buffer.compare(Buffer.from(one), Buffer.from(other)),
      );
    }),
  );
});

test('5,000 conditions on an array of 60,000 elements take no longer than a request may', () => {
  const list = Array.from({ length: 60_000 }, (_, index) => (index % 2 === 0 ? `${index}` : index));
  const ops = ['eq', 'gt', 'lt', 'prefix', 'suffix'] as const;
  const checks = Array.from({ length: 100 }, (_, webhook) =>
    compileFilter({
      any: Array.from({ length: 50 }, (_each, index) => {
        const op = ops[index % ops.length] ?? 'eq';
        return condition(
          op,
          `${op === 'gt' ? 'z' : op === 'lt' ? '' : 'x'}${webhook * 50 + index}`.slice(op === 'lt' ? 99 : 0),
        );
      }),
    }),
  );
  const startedAt = process.cpuUsage();
  const values = valuesOf({ ...order, data: () => ({ v: list }) });
  expect(checks.filter((check) => check(values) === null)).toEqual([]);
  const { user, system } = process.cpuUsage(startedAt);
  expect((user + system) / 1000).toBeLessThan(500);
});
