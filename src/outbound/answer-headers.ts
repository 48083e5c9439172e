const maxHeaders = 64;
const maxHeaderCharacters = 8 * 1024;

/**
 * The headers of an answer that are kept, names in lower case, repeated ones joined with a comma: at most 64
 * and 8 KiB. What does not fit is left out whole; `retry-after` and `content-type` come first.
 *
 * @example
 * boundHeaders({ 'Retry-After': '30', via: ['a', 'b'] }); // { 'retry-after': '30', via: 'a, b' }
 */
export function boundHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const entries = Object.entries(headers)
    .filter((entry): entry is [string, string | string[]] => entry[1] !== undefined)
    .map(([name, value]) => [name.toLowerCase(), Array.isArray(value) ? value.join(', ') : value] as const)
    .sort(([a], [b]) => rank(a) - rank(b));
  const kept: (readonly [string, string])[] = [];
  let room = maxHeaderCharacters;
  for (const entry of entries) {
    const cost = entry[0].length + entry[1].length;
    if (kept.length === maxHeaders || cost > room) continue;
    room -= cost;
    kept.push(entry);
  }
  return Object.fromEntries(kept);
}

function rank(name: string): number {
  return name === 'retry-after' || name === 'content-type' ? 0 : 1;
}
