/** `bytes` without the line break; null: the line is longer than allowed. */
type Line = { number: number; bytes: Buffer | null };

const lineFeed = 0x0a;

/** The lines of a stream, one at a time: of a line that is too long, nothing is kept. */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line, void, undefined> {
  let number = 1;
  let kept: Buffer[] = [];
  let length = 0;
  const add = (part: Buffer): void => {
    length += part.length;
    if (length > maxBytes) kept = [];
    else kept.push(part);
  };
  const end = (): Line => {
    const line = { number, bytes: length > maxBytes ? null : Buffer.concat(kept) };
    number += 1;
    kept = [];
    length = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    for (let at = rest.indexOf(lineFeed); at !== -1; at = rest.indexOf(lineFeed)) {
      add(rest.subarray(0, at));
      yield end();
      rest = rest.subarray(at + 1);
    }
    add(rest);
  }
  if (length > 0) yield end();
}
