import fc from 'fast-check';
import { expect, test } from 'vitest';
import { indentJson, JsonText, toJson } from '../../src/client/raw-json.ts';

test('JSON text stands in a body as it is, wherever it is', () => {
  const text = '{"2":1e400,"1":12345678901234567890,"__proto__":{}}';
  expect(toJson({ id: 'a', gone: undefined, data: new JsonText(text) })).toBe(`{"id":"a","data":${text}}`);
  expect(toJson({ events: [new JsonText(text), { a: 1 }] })).toBe(`{"events":[${text},{"a":1}]}`);
});

test('all else is as JSON.stringify writes it', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => toJson(value) === JSON.stringify(value)));
  for (const value of [
    new Date(0),
    { at: new Date(0) },
    [undefined, null, Number.NaN],
    { a: undefined },
    'x',
    1,
  ])
    expect(toJson(value)).toBe(JSON.stringify(value));
});

test('a formatted text has the same tokens, and the form that JSON.stringify gives', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      // JSON.parse moves names that look like numbers, so both sides are its results.
      const text = JSON.stringify(JSON.parse(JSON.stringify(value)));
      return indentJson(text) === JSON.stringify(JSON.parse(text), null, 2);
    }),
  );
  expect(indentJson(' {"b" :1.50,"10":[ ],"2":{"a":-0}} ')).toBe(
    '{\n  "b": 1.50,\n  "10": [],\n  "2": {\n    "a": -0\n  }\n}',
  );
  expect(indentJson('not JSON')).toBe('not JSON');
});
