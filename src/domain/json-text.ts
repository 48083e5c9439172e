const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

const isSpace = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
const isMark = (code: number) =>
  code === comma ||
  code === colon ||
  code === openBrace ||
  code === closeBrace ||
  code === openBracket ||
  code === closeBracket;

function endOfToken(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (isMark(first)) return start + 1;
  let at = start + 1;
  if (first === quote) {
    for (; text.charCodeAt(at) !== quote; at += 1) if (text.charCodeAt(at) === backslash) at += 1;
    return at + 1;
  }
  while (at < text.length && !isMark(text.charCodeAt(at)) && !isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

/** Calls back for each token: where it starts and ends. The text must be valid for `JSON.parse`. */
function forEachToken(text: string, onToken: (start: number, end: number) => void): void {
  for (let at = 0; at < text.length;) {
    if (isSpace(text.charCodeAt(at))) {
      at += 1;
      continue;
    }
    const end = endOfToken(text, at);
    onToken(at, end);
    at = end;
  }
}

/** The name of a token, as `JSON.parse` reads it. */
function toName(text: string, start: number, end: number): string {
  const name = text.slice(start + 1, end - 1);
  return name.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : name;
}

/** The value that starts at `start`, without white space between its tokens, and where it ends. */
function valueAt(text: string, start: number): { value: string; end: number } {
  let value = '';
  let from = start;
  let level = 0;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfToken(text, at) - 1;
    } else if (code === openBrace || code === openBracket) {
      level += 1;
    } else if (level === 0 && (code === comma || code === closeBrace)) {
      return { value: value + text.slice(from, at), end: at };
    } else if (code === closeBrace || code === closeBracket) {
      level -= 1;
    } else if (isSpace(code)) {
      value += text.slice(from, at);
      from = at + 1;
    }
  }
  return { value: value + text.slice(from), end: text.length };
}

/**
 * The members of an object, each value as its own text, without white space between its tokens. Digits, the order of names
 * and escapes stay as they are, which `JSON.parse` does not preserve. The text must be an object that is valid for
 * `JSON.parse`.
 *
 * @example membersOf('{"a": {"n": 1.50}}') // [['a', '{"n":1.50}']]
 */
export function membersOf(text: string): [name: string, value: string][] {
  const members: [string, string][] = [];
  for (let at = text.indexOf('{') + 1; ; at += 1) {
    while (isSpace(text.charCodeAt(at))) at += 1;
    if (text.charCodeAt(at) !== quote) return members;
    const nameEnd = endOfToken(text, at);
    const { value, end } = valueAt(text, text.indexOf(':', nameEnd) + 1);
    members.push([toName(text, at, nameEnd), value]);
    if (text.charCodeAt(end) !== comma) return members;
    at = end;
  }
}

/** How many names the objects in a value have together. */
export function countNames(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += countNames(item);
    return count;
  }
  // Values of JSON.parse have no inherited names.
  for (const name in value) count += 1 + countNames((value as Record<string, unknown>)[name]);
  return count;
}

type Level = { names: Set<string> | null; part: string | number; isNameNext: boolean };

/** The paths of names that repeat one of the same object, at most `max`. */
export function repeatedNames(text: string, max: number): (string | number)[][] {
  const found: (string | number)[][] = [];
  const levels: Level[] = [];
  forEachToken(text, (start, end) => {
    const level = levels[levels.length - 1];
    switch (text.charCodeAt(start)) {
      case openBrace:
        levels.push({ names: new Set(), part: '', isNameNext: true });
        return;
      case openBracket:
        levels.push({ names: null, part: 0, isNameNext: false });
        return;
      case closeBrace:
      case closeBracket:
        levels.pop();
        return;
      case comma:
        if (!level) return;
        if (typeof level.part === 'number') level.part += 1;
        else level.isNameNext = true;
        return;
      case quote:
        if (level?.isNameNext !== true) return;
        level.isNameNext = false;
        level.part = toName(text, start, end);
        if (level.names?.has(level.part) === true && found.length < max)
          found.push(levels.map(({ part }) => part));
        level.names?.add(level.part);
    }
  });
  return found;
}

/**
 * The text with each number and each string as a string with a prefix for its type, so that `JSON.parse` keeps all digits
 * and every name.
 *
 * @example withTextsOnly('{"a":1.50,"b":"x"}') // '{"sa":"n15e-1","sb":"sx"}'
 */
export function withTextsOnly(text: string): string {
  const parts: string[] = [];
  forEachToken(text, (start, end) => {
    const code = text.charCodeAt(start);
    if (code === quote) parts.push('"s', text.slice(start + 1, end));
    else if (code === 0x2d || (code >= 0x30 && code <= 0x39))
      parts.push('"n', plainNumber(text.slice(start, end)), '"');
    else parts.push(text.slice(start, end));
  });
  return parts.join('');
}

/** The same text for all forms of a number: `1.50`, `15e-1` and `0.15E1` are `15e-1`. */
function plainNumber(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  // Nobody writes such a number in another form, and its exponent is too large to add to.
  if (exponent.length > 15) return text;
  const digits = whole + fraction;
  let [first, end] = [0, digits.length];
  while (digits[first] === '0') first += 1;
  while (end > first && digits[end - 1] === '0') end -= 1;
  if (first === digits.length) return `${sign}0`;
  return `${sign}${digits.slice(first, end)}e${Number(exponent) - fraction.length + digits.length - end}`;
}
