import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readEventTypesFile } from '../../src/event-types/event-types-file.ts';

function read(content: unknown, hasBuiltIn = true) {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-types-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'types.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return readEventTypesFile(path, hasBuiltIn);
}

test('the types of a file, with defaults for fields that are left out', () => {
  const schema = { type: 'object', required: ['order_id'] };
  const types = {
    'order.paid': { description: 'Paid.', schema },
    'order.lost': { description: '', deprecated: true },
  };
  expect(read({ types })).toEqual([
    { name: 'order.paid', description: 'Paid.', schema, validation: 'open', deprecated: false },
    { name: 'order.lost', description: '', validation: 'open', deprecated: true },
  ]);
  expect(read({ types: {} })).toEqual([]);
});

test('every fault of a file is reported at once', () => {
  const types = {
    order: { description: '' },
    'webhook.mine': { description: '' },
    'document.deleted': { description: '' },
    'order.paid': { schema: { type: 'objekt' } },
    'order.sent': { description: '', schema: { properties: { a: { pattern: '(?=a)' } } } },
    'order.lost': { description: '', schema: { required: ['id'] }, example: {} },
  };
  const lines = [
    'types["order"]: the name must be 2 to 6 parts',
    'types["webhook.mine"]: the name is reserved',
    'types["document.deleted"]: the name is reserved',
    'types["order.paid"]/description: ',
    'types["order.sent"]/schema/properties/a/pattern: is not a pattern of RE2',
    'types["order.lost"]/example/id: is missing',
  ];
  expect.assertions(lines.length);
  try {
    read({ types });
  } catch (error) {
    for (const line of lines) expect(String(error)).toContain(line);
  }
});

test('the names that are built in are free where they are left out', () => {
  const types = { 'document.deleted': { description: 'Our own.' } };
  expect(read({ types }, false).map(({ name }) => name)).toEqual(['document.deleted']);
});

test('a file without event types is an error that names the fault', () => {
  expect(() => readEventTypesFile('/nonexistent/types.json', true)).toThrow(
    /FLTR_EVENT_TYPES_FILE cannot be read: ENOENT/,
  );
  expect(() => read('{')).toThrow(/FLTR_EVENT_TYPES_FILE cannot be read: .*JSON/);
  for (const content of [[], {}, { types: [] }, { types: {}, more: 1 }])
    expect(() => read(content)).toThrow(/it must be an object with the one field "types"/);
});
