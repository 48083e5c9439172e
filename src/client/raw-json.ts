/**
 * JSON that is sent as it is written: its numbers keep all their digits, and its names their order, which they do not in
 * what `JSON.parse` makes.
 *
 * @example new JsonText('{"amount": 12345678901234567890}')
 */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** As `JSON.stringify`, with each `JsonText` as it is. */
export function toJson(value: unknown): string {
  if (value instanceof JsonText) return value.text;
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  const isPlain = typeof value === 'object' && value !== null && !('toJSON' in value);
  if (!isPlain) {
    // Nothing for what JSON does not have, such as undefined.
    const text: string | undefined = JSON.stringify(value);
    return text ?? 'null';
  }
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}:${toJson(member)}`);
  return `{${members.join(',')}}`;
}

/**
 * A JSON text set out for reading, two blanks a level. Only white space changes; what is no JSON stays as it is.
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
