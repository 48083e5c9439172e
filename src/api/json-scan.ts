const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const byteOrderMark = 0xef;

// Both functions read the bytes once and know only strings and brackets, so their cost depends on the length alone. They run
// before JSON.parse, which refuses invalid JSON.

function endOfString(bytes: Buffer, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

/**
 * `tooDeep`: the top-level name whose value nests deeper than `maxLevels`; null if there is none. `names`: how many names all
 * objects have together, repeated ones included.
 */
type Survey = { tooDeep: { name: string | null } | null; names: number };

export function survey(bytes: Buffer, maxLevels: number): Survey {
  let level = 0;
  let names = 0;
  let [start, end] = [0, 0];
  for (let at = 0; at < bytes.length; at += 1) {
    switch (bytes[at] ?? 0) {
      case quote: {
        const from = at;
        at = endOfString(bytes, at);
        if (level === 1) [start, end] = [from, at + 1];
        break;
      }
      case openBracket:
      case openBrace:
        if (level === maxLevels) {
          const name = end === 0 ? null : readName(bytes.subarray(start, end));
          return { tooDeep: { name }, names };
        }
        level += 1;
        break;
      case colon:
        names += 1;
        break;
      case closeBracket:
      case closeBrace:
        level -= 1;
    }
  }
  return { tooDeep: null, names };
}

function readName(bytes: Buffer): string | null {
  try {
    return JSON.parse(bytes.toString()) as string;
  } catch {
    return null;
  }
}

export type Span = { start: number; end: number };

/**
 * The items of each array that is a member of the body itself. Of more than `maxItems`, the first ones and one more.
 *
 * @example findItems(Buffer.from('{"events": [{"a": 1}, 2]}'), 500) // where `{"a": 1}` and `2` stand
 */
export function findItems(bytes: Buffer, maxItems: number): Span[] {
  const items: Span[] = [];
  let level = 0;
  // Where the current item starts.
  let from: number | null = null;
  const end = (at: number) => {
    const item = trim(bytes, from ?? at, at);
    // An empty item and a byte order mark stay in the outline, where JSON.parse refuses them.
    if (item.end > item.start && bytes[item.start] !== byteOrderMark) items.push(item);
  };
  for (let at = 0; at < bytes.length && items.length <= maxItems; at += 1) {
    const code = bytes[at] ?? 0;
    switch (code) {
      case quote:
        at = endOfString(bytes, at);
        break;
      case openBracket:
      case openBrace:
        if (level === 0 && code === openBracket) return [];
        if (level === 1 && code === openBracket) from = at + 1;
        level += 1;
        break;
      case comma:
        if (level !== 2 || from === null) break;
        end(at);
        from = at + 1;
        break;
      case closeBracket:
      case closeBrace:
        level -= 1;
        if (level !== 1 || from === null) break;
        end(at);
        from = null;
    }
  }
  return items;
}

function trim(bytes: Buffer, start: number, end: number): Span {
  while (start < end && isSpace(bytes[start])) start += 1;
  while (end > start && isSpace(bytes[end - 1])) end -= 1;
  return { start, end };
}

const isSpace = (code: number | undefined) =>
  code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
