const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

type Frame = { isArray: boolean; index: number; key: string; keyAt: number };

const escapePart = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');

/** The offset of each value in a JSON text by JSON pointer; a member of an object begins at its name. */
function positions(text: string): Map<string, number> {
  const found = new Map<string, number>();
  const frames: Frame[] = [];
  let isValue = true;
  for (const { 0: token, index } of text.matchAll(tokens)) {
    const frame = frames.at(-1);
    if (token === ',' && frame) {
      frame.index += 1;
      isValue = frame.isArray;
    } else if (token === ':') isValue = true;
    else if (token === '}' || token === ']') {
      frames.pop();
      isValue = false;
    } else if (!isValue && frame && token.startsWith('"')) {
      frame.key = JSON.parse(token) as string;
      frame.keyAt = index;
    } else {
      const pointer = frames
        .map(({ isArray, index, key }) => `/${isArray ? index : escapePart(key)}`)
        .join('');
      found.set(pointer, frame && !frame.isArray ? frame.keyAt : index);
      isValue = token === '[';
      if (token === '{' || token === '[')
        frames.push({ isArray: token === '[', index: 0, key: '', keyAt: index });
    }
  }
  return found;
}

/**
 * The offset of the value that a pointer names, or of its nearest existing parent.
 *
 * @example positionOf('{"a": [1, 2]}', '/a/1') // 10
 */
export function positionOf(text: string, pointer: string): number {
  const known = positions(text);
  for (let part = pointer; part !== ''; part = part.slice(0, part.lastIndexOf('/'))) {
    const position = known.get(part);
    if (position !== undefined) return position;
  }
  return known.get('') ?? 0;
}

/** The line number, from 1. */
export function lineAt(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}
