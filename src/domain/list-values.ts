/**
 * The elements of an array of an event, for the conditions of filters. An array may have 100,000 elements, and an account's
 * filters 5,000 conditions on it, so no condition looks at each element: shared values are computed at their first use.
 */
export type ListValues = {
  length: number;
  /** Whether an element is that text, number, true, false or null. */
  has(value: unknown): boolean;
  /** Of the elements of that type; undefined: there is none. */
  greatest(type: 'string' | 'number'): unknown;
  least(type: 'string' | 'number'): unknown;
  /** Whether a text among the elements begins or ends so. */
  hasPrefix(prefix: string): boolean;
  hasSuffix(suffix: string): boolean;
};

/**
 * @example createListValues(['a', 2]).greatest('number') // 2
 */
export function createListValues(list: readonly unknown[]): ListValues {
  const isText = (value: unknown): value is string => typeof value === 'string';
  const set = once(() => new Set(list));
  const texts = once(() => [...set()].filter(isText));
  const sorted = once(() => texts().sort());
  const reversed = once(() => texts().map(reverse).sort());
  const numbers = once(() => rangeOf(list, 'number', (one, other) => Number(one) - Number(other)));
  const strings = once(() =>
    rangeOf(list, 'string', (one, other) => compareByCodePoint(String(one), String(other))),
  );
  return {
    length: list.length,
    has: (value) => set().has(value),
    greatest: (type) => (type === 'number' ? numbers() : strings()).greatest,
    least: (type) => (type === 'number' ? numbers() : strings()).least,
    hasPrefix: (prefix) => someBeginsWith(sorted(), prefix),
    hasSuffix: (suffix) => someBeginsWith(reversed(), reverse(suffix)),
  };
}

function once<T>(compute: () => T): () => T {
  let result: { value: T } | null = null;
  return () => (result ??= { value: compute() }).value;
}

function rangeOf(
  list: readonly unknown[],
  type: 'string' | 'number',
  compare: (one: unknown, other: unknown) => number,
) {
  let [least, greatest]: unknown[] = [];
  for (const value of list) {
    if (typeof value !== type) continue;
    if (least === undefined || compare(value, least) < 0) least = value;
    if (greatest === undefined || compare(value, greatest) > 0) greatest = value;
  }
  return { least, greatest };
}

/** By code unit, so that texts with the same beginning are next to each other. */
const reverse = (text: string): string => {
  let reversed = '';
  for (let at = text.length - 1; at >= 0; at -= 1) reversed += text[at];
  return reversed;
};

function someBeginsWith(sorted: readonly string[], start: string): boolean {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') < start) low = middle + 1;
    else high = middle;
  }
  return sorted[low]?.startsWith(start) === true;
}

/**
 * Compares two texts by code point, as UTF-8 and PostgreSQL's collation C do; `<` compares code units.
 *
 * @example compareByCodePoint('\uffff', '😀') < 0 // true, while '\uffff' > '😀'
 */
export function compareByCodePoint(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return rank(a) - rank(b);
  }
  return one.length - other.length;
}

/** Surrogates encode code points above those of all other units. */
const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);
