import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineAt, positionOf } from '../../src/dashboard/pages/send-event/json-position.ts';

const text = `{
  "document_id": "a, {b}",
  "list": [1, {"x/y": [], "~": null}],
  "empty": {},
  "last": true
}`;

test('a pointer leads to the line of its value', () => {
  const lineOf = (pointer: string) => lineAt(text, positionOf(text, pointer));
  expect(lineOf('/document_id')).toBe(2);
  expect(lineOf('/list/1')).toBe(3);
  expect(lineOf('/last')).toBe(5);
  expect(text.slice(positionOf(text, '/list/1/x~1y'))).toMatch(/^"x\/y"/);
  expect(text.slice(positionOf(text, '/list/1/~0'))).toMatch(/^"~"/);
});

test('the pointer of a missing field leads to its object', () => {
  expect(positionOf(text, '/dataset_id')).toBe(0);
  expect(positionOf(text, '/empty/name')).toBe(text.indexOf('"empty"'));
  expect(positionOf(text, '')).toBe(0);
  expect(positionOf('', '/a')).toBe(0);
});

test('every value of any JSON is found where it stands', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
      const written = JSON.stringify(value, null, indent);
      for (const [pointer, found, name] of walk(value, '')) {
        const rest = written.slice(positionOf(written, pointer));
        const begin = name === undefined ? JSON.stringify(found).slice(0, 1) : JSON.stringify(name);
        expect(rest.startsWith(begin)).toBe(true);
      }
    }),
  );
});

/** Each value with its pointer, and its name where it is a member of an object. */
function* walk(
  value: unknown,
  pointer: string,
  name?: string,
): Generator<[string, unknown, string | undefined]> {
  yield [pointer, value, name];
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    const part = key.replaceAll('~', '~0').replaceAll('/', '~1');
    yield* walk(child, `${pointer}/${part}`, Array.isArray(value) ? undefined : key);
  }
}
