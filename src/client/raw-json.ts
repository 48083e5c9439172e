/**
 * JSON text that is sent verbatim: numbers keep all their digits and members their order, unlike after `JSON.parse`.
 *
 * @example new JsonText('{"amount": 12345678901234567890}')
 */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Like `JSON.stringify`, with each `JsonText` verbatim. */
export function toJson(value: unknown): string {
  if (value instanceof JsonText) return value.text;
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  const isPlain = typeof value === 'object' && value !== null && !('toJSON' in value);
  if (!isPlain) {
    // Undefined for values that JSON does not have.
    const text: string | undefined = JSON.stringify(value);
    return text ?? 'null';
  }
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}:${toJson(member)}`);
  return `{${members.join(',')}}`;
}

/**
 * The text of an object with more members at its beginning: those that it does not have.
 *
 * @example withMembers('{"n": 1.50}', { id: 'evt_1' }).text // '{"id":"evt_1","n": 1.50}'
 */
export function withMembers(text: string, members: object): JsonText {
  const object = JSON.parse(text) as object;
  const missing = Object.entries(members).filter(([name]) => !Object.hasOwn(object, name));
  if (missing.length === 0) return new JsonText(text);
  const rest = text.trim().slice(1);
  const separator = rest.trim() === '}' ? '' : ',';
  return new JsonText(`${toJson(Object.fromEntries(missing)).slice(0, -1)}${separator}${rest}`);
}

/**
 * Formats JSON text with two spaces per level, changing white space only. Text that is not JSON is returned unchanged.
 *
 * @example indentJson('{"n":1.50}') // '{\n  "n": 1.50\n}'
 */
export function indentJson(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let level = 0;
  let result = '';
  const line = () => `\n${'  '.repeat(level)}`;
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  for (const [index, token] of tokens.entries()) {
    const before = tokens[index - 1];
    const isEmpty = before === '{' || before === '[';
    if (token === '}' || token === ']') {
      level -= 1;
      if (!isEmpty) result += line();
    } else if (isEmpty) result += line();
    result += token;
    if (token === '{' || token === '[') level += 1;
    else if (token === ',') result += line();
    else if (token === ':') result += ' ';
  }
  return result;
}
