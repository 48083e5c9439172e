import { expect, test } from 'vitest';
import { z } from 'zod';
import { eventDataSchemas } from '../../src/contracts/event-types.ts';
import { schemaRows } from '../../src/dashboard/schema-rows.ts';

const lines = (schema: Record<string, unknown>) =>
  schemaRows(schema)?.map(
    ({ path, depth, type, isRequired, constraints }) =>
      `${depth} ${path}${isRequired ? '*' : ''} ${type}${constraints.map((each) => `; ${each}`).join('')}`,
  ) ?? null;

test('fields of every kind, nested ones below theirs', () => {
  expect(
    lines({
      type: 'object',
      required: ['order_id', 'lines'],
      properties: {
        order_id: { type: 'string', pattern: '^ord_[a-z0-9]+$', maxLength: 40 },
        status: { enum: ['paid', 'open'] },
        version: { const: 2 },
        total: { type: ['number', 'null'], minimum: 0, exclusiveMaximum: 1000 },
        paid_at: { anyOf: [{ type: 'string', format: 'date-time' }, { type: 'null' }] },
        customer: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
        lines: {
          type: 'array',
          minItems: 1,
          uniqueItems: true,
          items: { $ref: '#/$defs/line' },
        },
        tags: { type: 'array', items: { type: 'string' } },
        extra: true,
      },
      $defs: {
        line: {
          type: 'object',
          properties: { sku: { type: 'string' }, count: { type: 'integer', default: 1 } },
        },
      },
    }),
  ).toEqual([
    '0 order_id* string; matches ^ord_[a-z0-9]+$; at most 40 characters',
    '0 status string; one of "paid", "open"',
    '0 version number; always 2',
    '0 total number or null; at least 0; less than 1,000',
    '0 paid_at string or null; format date-time',
    '0 customer object',
    '1 customer.name* string',
    '0 lines* array of object; at least 1 items; all items different',
    '1 lines[ ].sku string',
    '1 lines[ ].count integer; default 1',
    '0 tags array of string',
    '0 extra any',
  ]);
});

test('each built-in type has a table', () => {
  for (const [name, schema] of Object.entries(eventDataSchemas)) {
    const rows = schemaRows(z.toJSONSchema(schema));
    expect(
      rows?.map(({ path }) => path),
      name,
    ).toContain('dataset_id');
  }
  expect(lines(z.toJSONSchema(eventDataSchemas['document.processing_failed']))).toContain(
    '1 error.code* string; at most 10,000 characters',
  );
  // No bound of JavaScript's integers.
  expect(lines(z.toJSONSchema(eventDataSchemas['dataset.deleted']))).toContain(
    '0 document_count integer; at least 0',
  );
});

test.each([
  ['it describes no object', { type: 'string' }],
  ['it has no field', { type: 'object', properties: {} }],
  ['it is a combination', { type: 'object', properties: { a: {} }, oneOf: [{ required: ['a'] }] }],
  ['a field is a combination', { properties: { a: { allOf: [{ type: 'string' }] } } }],
  ['a field is never there', { properties: { a: false } }],
  ['a reference leads nowhere', { properties: { a: { $ref: '#/$defs/none' } } }],
  ['a reference leads elsewhere', { properties: { a: { $ref: 'https://example.com/schema' } } }],
  ['a reference leads to itself', { properties: { a: { $ref: '#/properties/a' } } }],
  ['it is nested without end', { properties: { a: { $ref: '#' } } }],
  ['a name of a prototype is referred to', { properties: { a: { $ref: '#/constructor' } } }],
])('no table where %s', (_why, schema) => {
  expect(schemaRows(schema)).toBeNull();
});

test('no table of a schema with more fields than a person reads', () => {
  const fields = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`field_${index}`, { type: 'string' }]));
  expect(schemaRows({ properties: fields(300) })).toHaveLength(300);
  expect(schemaRows({ properties: fields(301) })).toBeNull();
});
