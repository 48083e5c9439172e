import fc from 'fast-check';
import { expect, test } from 'vitest';
import { maxCheckSteps, withBudget } from '../../src/event-types/check-budget.ts';
import { faultsOfDefinition } from '../../src/event-types/definition.ts';
import { compileSchema } from '../../src/event-types/json-schema.ts';
import { linearPattern, maxPatternLength } from '../../src/event-types/linear-patterns.ts';
import { maxSubschemas, type JsonSchema } from '../../src/event-types/prepare-schema.ts';

function check(schema: JsonSchema, value: unknown, validation: 'strict' | 'open' = 'open'): string[] {
  const compiled = compileSchema(schema, validation);
  if ('faults' in compiled) throw new Error(JSON.stringify(compiled.faults));
  return compiled.check(value).map(({ path, words }) => `${path.join('.')} ${words}`);
}

function refused(schema: JsonSchema): string[] {
  const compiled = compileSchema(schema, 'open');
  return 'faults' in compiled ? compiled.faults.map(({ path, words }) => `${path.join('.')} ${words}`) : [];
}

const address = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

test('each fault of data is reported once, in plain words', () => {
  const schema = {
    type: 'object',
    required: ['order_id', 'lines'],
    properties: {
      order_id: { type: 'string', minLength: 1, maxLength: 5 },
      total: { type: 'number', minimum: 0 },
      state: { enum: ['paid', 'open'] },
      code: { type: 'string', pattern: '^[a-z]+$' },
      lines: { type: 'array', uniqueItems: true, items: { anyOf: [{ type: 'string' }, address] } },
      count: { type: ['integer', 'null'] },
    },
    additionalProperties: false,
  };
  expect(check(schema, { order_id: 'o', lines: [] })).toEqual([]);
  expect(check(schema, {})).toEqual(['order_id is missing', 'lines is missing']);
  expect(
    check(schema, {
      order_id: '',
      total: -1,
      state: 'lost',
      code: 'A1',
      lines: [1, { city: 2 }, 'a', 'a'],
      count: 1.5,
      colour: 'red',
    }),
  ).toEqual([
    'colour is not a known field',
    'order_id must not be empty',
    'total must be >= 0',
    'state must be one of paid, open',
    'code does not have the right form',
    'lines.0 matches none, or several, of the forms that its type allows',
    'lines.1 matches none, or several, of the forms that its type allows',
    'lines must not hold an item twice',
    'count must be a whole number or null',
  ]);
});

test('`strict` refuses unknown fields at every level where fields are named', () => {
  const schema = {
    type: 'object',
    properties: {
      to: { $ref: '#/$defs/address' },
      extra: { type: 'object' },
      open: { type: 'object', properties: { a: {} }, additionalProperties: true },
      list: { type: 'array', items: { allOf: [{ properties: { a: {} } }, { properties: { b: {} } }] } },
    },
    $defs: { address },
  };
  const value = {
    to: { city: 'Bonn', street: 's' },
    extra: { anything: 1 },
    open: { a: 1, b: 2 },
    list: [{ a: 1, b: 2, c: 3 }],
    more: 1,
  };
  expect(check(schema, value, 'open')).toEqual([]);
  expect(check(schema, value, 'strict').sort()).toEqual([
    'list.0.c is not a known field',
    'more is not a known field',
    'to.street is not a known field',
  ]);
});

test('a schema that cannot be used is refused, with the part that is wrong', () => {
  const at = (schema: JsonSchema) => refused(schema)[0];
  expect(at({ type: 'objekt' })).toContain('type ');
  expect(at({ properties: { a: { $ref: 'https://example.com/schema.json' } } })).toBe(
    'properties.a.$ref must lead to a part of the same schema, such as #/$defs/address',
  );
  expect(at({ $ref: '#/$defs/none' })).toMatch(/is not valid: can't resolve reference/);
  expect(at({ $id: 'https://example.com/a' })).toBe('$id is not supported');
  expect(at({ $schema: 'http://json-schema.org/draft-07/schema#' })).toMatch(/^\$schema must be https:/);
  expect(at({ $schema: 'https://json-schema.org/draft/2020-12/schema' })).toBeUndefined();
  expect(at({ properties: { a: { pattern: '(?=a)b' } } })).toMatch(
    /^properties\.a\.pattern is not a pattern of RE2/,
  );
  expect(at({ patternProperties: { '(a)\\1': {} } })).toMatch(
    /^patternProperties\.\(a\)\\1 is not a pattern of RE2/,
  );
  expect(at({ pattern: 'a'.repeat(maxPatternLength) })).toBeUndefined();
  expect(at({ pattern: 'a'.repeat(maxPatternLength + 1) })).toMatch(/1001 characters: 1000 at most/);
});

test('a schema has at most 500 subschemas and 64 KiB', () => {
  const withFields = (count: number) => ({
    properties: Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`f${index}`, { minLength: 1 }]),
    ),
  });
  expect(refused(withFields(maxSubschemas - 1))).toEqual([]);
  expect(refused(withFields(maxSubschemas))).toEqual([' has more than 500 subschemas']);
  const ofBytes = (bytes: number) => {
    const schema = { description: '' };
    schema.description = 'a'.repeat(bytes - JSON.stringify(schema).length);
    return faultsOfDefinition({ description: '', schema, validation: 'open', deprecated: false });
  };
  expect(ofBytes(65_536)).toEqual([]);
  expect(ofBytes(65_537)).toEqual([{ path: ['schema'], words: 'has 65537 bytes: 65536 at most' }]);
});

test('an example must match its schema, unless nothing is checked', () => {
  const definition = { description: '', schema: address, example: {}, deprecated: false };
  expect(faultsOfDefinition({ ...definition, validation: 'open' })).toEqual([
    { path: ['example', 'city'], words: 'is missing' },
  ]);
  expect(faultsOfDefinition({ ...definition, validation: 'none' })).toEqual([]);
});

// Each of these took seconds or for ever with an engine that backtracks, or a library's own way of comparing.
const tooLong = [' takes too long to check against the schema of its type: send less'];
const hard: [name: string, schema: JsonSchema, value: unknown, expected: string[]][] = [
  [
    'nested quantifiers',
    { pattern: '^(a+)+$' },
    `${'a'.repeat(200_000)}!`,
    [' does not have the right form'],
  ],
  [
    'overlapping alternatives',
    { pattern: '^(a|a)*$' },
    `${'a'.repeat(200_000)}!`,
    [' does not have the right form'],
  ],
  ['a large automaton', { pattern: '(a|b)*a(a|b){400}$' }, 'ab'.repeat(120_000), tooLong],
  ['unique items', { uniqueItems: true }, Array.from({ length: 30_000 }, (_, id) => ({ id })), []],
  [
    'references that branch at each level',
    { properties: { a: { allOf: [{ $ref: '#' }, { $ref: '#' }] } } },
    Array.from({ length: 60 }).reduce<object>((inner) => ({ a: inner }), {}),
    tooLong,
  ],
  [
    'references in a circle',
    { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
    {},
    tooLong,
  ],
  [
    'many values',
    { items: { enum: Array.from({ length: 5000 }, (_, index) => `v${index}`) } },
    Array(20_000).fill('v4999'),
    tooLong,
  ],
];
test.each(hard)('a check ends in bounded time: %s', { timeout: 5000 }, (_name, schema, value, expected) => {
  expect(check(schema, value)).toEqual(expected);
});

test('as many steps as a check may have, and one more', () => {
  const items = (count: number) => Array<string>(count).fill('a');
  // The list is a step, and each item is one.
  expect(check({ items: {} }, items(maxCheckSteps - 1))).toEqual([]);
  expect(check({ items: {} }, items(maxCheckSteps))).toEqual(tooLong);
});

test('patterns match as in JavaScript', () => {
  const pattern = fc.constantFrom(
    '^[a-z0-9_]+$',
    '^\\d{4}-\\d{2}$',
    'a|b',
    '^(a|bc)*d?$',
    '^[^\\u0000-\\u001f]*$',
    '^\\w+@\\w+\\.[a-z]{2,}$',
    '^\\p{L}+$',
    '^(?<year>\\d+)$',
    '[\\]-]',
  );
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', '1', '-', '@', '.') }),
  );
  fc.assert(
    fc.property(pattern, text, (source, value) => {
      expect(withBudget(() => linearPattern(source).test(value))).toBe(new RegExp(source, 'u').test(value));
    }),
  );
});
