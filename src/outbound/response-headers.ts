const utf8 = new TextDecoder('utf-8', { fatal: true });
const maxHeaders = 64;
const maxHeaderCharacters = 8 * 1024;

const controlCharacters = /[^\P{Cc}\t\u0080-\u009f]/gu;

/** Kept before all others. */
const wanted = ['retry-after', 'content-type'];

/**
 * The headers of a response that are kept, repeated ones joined with a comma: at most 64 and 8 KiB. Headers that do not fit
 * are left out whole; `retry-after` and `content-type` come first. Control characters are replaced by U+FFFD.
 *
 * @param headers names in lower case
 * @example
 * boundHeaders({ 'retry-after': '30', via: ['a', 'b'] }); // { 'retry-after': '30', via: 'a, b' }
 */
export function boundHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const kept: [string, string][] = [];
  let left = maxHeaderCharacters;
  const keep = (name: string, value: string | string[] | undefined): void => {
    if (value === undefined || kept.length === maxHeaders) return;
    const joined = headerText(Array.isArray(value) ? value.join(', ') : value);
    // The database holds no NUL, and no receiver means another one of these.
    const text = joined.replace(controlCharacters, '\ufffd');
    const cost = name.length + text.length;
    if (cost > left) return;
    left -= cost;
    kept.push([name, text]);
  };
  for (const name of wanted) keep(name, headers[name]);
  for (const name of Object.keys(headers)) if (!wanted.includes(name)) keep(name, headers[name]);
  // Not by assignment: a header may be called `__proto__`.
  return Object.fromEntries(kept);
}

/**
 * A header's value as its sender meant it. Node reads each byte as a character; most who send other than ASCII mean UTF-8.
 *
 * @example headerText('cafÃ©') // 'café'
 */
function headerText(value: string): string {
  // oxlint-disable-next-line no-control-regex -- of ASCII, both readings are the same
  if (/^[\u0000-\u007f]*$/.test(value)) return value;
  try {
    return utf8.decode(Buffer.from(value, 'latin1'));
  } catch {
    return value;
  }
}
