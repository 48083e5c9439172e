import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromCursor, toPage } from '../../src/api/cursor.ts';
import { idPattern } from '../../src/contracts/id.ts';
import { ApiError } from '../../src/errors.ts';

const lists = ['webhooks', 'events', 'deliveries'] as const;
const anything = { test: () => true };

/** The cursor of a page that ends at `position`. */
function cursorOf(list: (typeof lists)[number], position: readonly string[]): string {
  const page = toPage(list, [1, 2], 1, () => position);
  expect(page.data).toEqual([1]);
  return page.next_cursor ?? '';
}

function refusalOf(read: () => unknown): unknown {
  try {
    return { accepted: read() };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { code: error.code, status: error.status, pointers: error.errors?.map(({ pointer }) => pointer) };
  }
}
const refusal = { code: 'validation_failed', status: 422, pointers: ['#query/cursor'] };

test('a cursor gives back the position that it was made of, and fits into a URL as it is', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...lists),
      fc.array(fc.string({ unit: 'binary' }), { maxLength: 4 }),
      (list, position) => {
        const cursor = cursorOf(list, position);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        const patterns = position.map(() => anything);
        expect(fromCursor(list, cursor, patterns)).toEqual(position);
      },
    ),
  );
});

test("another list's cursor, one with another number of parts, or with a part of another shape, is refused", () => {
  const id = fc.stringMatching(idPattern);
  fc.assert(
    fc.property(fc.constantFrom(...lists), fc.constantFrom(...lists), id, (list, other, part) => {
      const cursor = cursorOf(list, [part]);
      expect(refusalOf(() => fromCursor(other, cursor, [idPattern]))).toEqual(
        other === list ? { accepted: [part] } : refusal,
      );
      expect(refusalOf(() => fromCursor(list, cursor, []))).toEqual(refusal);
      expect(refusalOf(() => fromCursor(list, cursor, [idPattern, idPattern]))).toEqual(refusal);
      expect(refusalOf(() => fromCursor(list, cursorOf(list, [`${part}.`]), [idPattern]))).toEqual(refusal);
    }),
  );
});

test('garbage is refused, and nothing but refused', () => {
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '').toString('base64url');
  const garbage = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.base64String(),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
    fc.array(fc.jsonValue()).map((rest) => encoded([1, 'events', ...rest])),
    fc.tuple(fc.jsonValue(), fc.jsonValue(), fc.jsonValue()).map(encoded),
    fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64url')),
    fc.constant(encoded({ 0: 1, 1: 'events', 2: 'a', 3: 'b', length: 4 })),
    fc.constant(Buffer.from('['.repeat(100_000)).toString('base64url')),
  );
  // Two parts that can never both fit.
  const nothing = { test: () => false };
  fc.assert(
    fc.property(fc.constantFrom(...lists), garbage, (list, cursor) => {
      expect(refusalOf(() => fromCursor(list, cursor, [nothing, nothing]))).toEqual(refusal);
    }),
    { numRuns: 1000 },
  );
  expect(fromCursor('events', undefined, [nothing])).toBeNull();
});

test('a page has a cursor if there is one more row, and holds no more than its limit', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(), { maxLength: 12 }),
      fc.integer({ min: 1, max: 10 }),
      (rows, limit) => {
        const page = toPage('events', rows.slice(0, limit + 1), limit, (row) => [String(row)]);
        expect(page.data).toEqual(rows.slice(0, limit));
        if (rows.length <= limit) expect(page.next_cursor).toBeNull();
        else
          expect(fromCursor('events', page.next_cursor ?? '', [/^\d+$/])).toEqual([String(rows[limit - 1])]);
      },
    ),
    { examples: [[[1, 2, 0, 3], 3]] },
  );
});
