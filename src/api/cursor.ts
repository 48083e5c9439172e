import { ApiError } from '../errors.ts';
import { fault } from './problem-details.ts';

type ListName =
  | 'webhooks'
  | 'events'
  | 'undelivered events'
  | 'deliveries'
  | 'keys'
  | 'accounts'
  | 'operations'
  | 'audit records';

/** A time as cursors hold it. PostgreSQL would refuse an invalid date, and the year 0. */
export const timePattern = {
  test: (text: string) =>
    /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) &&
    new Date(Date.parse(text) || 0).toISOString() === text,
};

/**
 * A page of a list. `items` has one item more than the page where another page follows.
 *
 * @param positionOf the contents of the cursor, for a page that ends with this item
 */
export function toPage<Item>(
  list: ListName,
  items: readonly Item[],
  limit: number,
  positionOf: (item: Item) => readonly string[],
): { data: Item[]; next_cursor: string | null } {
  const data = items.slice(0, limit);
  const last = items.length > limit ? data.at(-1) : undefined;
  return { data, next_cursor: last === undefined ? null : toCursor(list, positionOf(last)) };
}

/** A page of a list that knows where its next page begins; `next` null: this was the last one. */
export const pageUntil = <Item>(list: ListName, data: Item[], next: readonly string[] | null) => ({
  data,
  next_cursor: next === null ? null : toCursor(list, next),
});

/** An opaque cursor: version, the list it belongs to, and where the page ended. */
function toCursor(list: ListName, position: readonly string[]): string {
  return Buffer.from(JSON.stringify([1, list, ...position])).toString('base64url');
}

/**
 * Where the previous page ended; null for the first page. The key decides which rows may be read, so a forged cursor shows
 * nothing new.
 *
 * @param patterns one for each part of the position
 * @throws ApiError validation_failed for another list's cursor, or an invalid one
 */
export function fromCursor(
  list: ListName,
  cursor: string | undefined,
  patterns: readonly { test(part: string): boolean }[],
): string[] | null {
  if (cursor === undefined) return null;
  const position = parse(cursor);
  if (position?.[0] === 1 && position[1] === list && position.length === patterns.length + 2) {
    const parts = position.slice(2);
    if (parts.every((part, index) => typeof part === 'string' && patterns[index]?.test(part)))
      return parts as string[];
  }
  throw new ApiError('validation_failed', `The cursor is not a next_cursor of the list of ${list}.`, {
    errors: [fault('#query/cursor', `must be a next_cursor of the list of ${list}`)],
  });
}

function parse(cursor: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
