import { expect, test } from 'vitest';
import { readLines } from '../../src/cli/read-lines.ts';

async function* chunksOf(...parts: (string | Uint8Array)[]) {
  for (const part of parts) yield Buffer.from(part);
}

async function linesOf(maxBytes: number, ...parts: (string | Uint8Array)[]) {
  const lines: [number, string | null][] = [];
  for await (const { number, bytes } of readLines(chunksOf(...parts), maxBytes))
    lines.push([number, bytes?.toString() ?? null]);
  return lines;
}

test('lines are found however the stream is cut, and numbered', async () => {
  const expected = [
    [1, 'one'],
    [2, ''],
    [3, 'drei ü'],
    [4, 'last'],
  ];
  const text = Buffer.from('one\n\ndrei ü\nlast');
  expect(await linesOf(100, text)).toEqual(expected);
  expect(await linesOf(100, Buffer.concat([text, Buffer.from('\n')]))).toEqual(expected);
  for (let at = 1; at < text.length; at += 1)
    expect(await linesOf(100, text.subarray(0, at), text.subarray(at))).toEqual(expected);
  expect(await linesOf(100)).toEqual([]);
});

test('a line of the longest length is kept, a longer one is not, and the next one is', async () => {
  expect(await linesOf(4, '1234\n12345\n1', '2345\nok')).toEqual([
    [1, '1234'],
    [2, null],
    [3, null],
    [4, 'ok'],
  ]);
});

test('a line without end costs no memory', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  async function* endless() {
    for (let count = 0; count < 500; count += 1) yield chunk;
    yield Buffer.from('\nok');
  }
  const before = process.memoryUsage();
  let peak = 0;
  const lines: (string | null)[] = [];
  for await (const { bytes } of readLines(endless(), 64 * 1024)) {
    lines.push(bytes?.toString() ?? null);
    peak = Math.max(peak, process.memoryUsage().arrayBuffers - before.arrayBuffers);
  }
  expect(lines).toEqual([null, 'ok']);
  expect(peak).toBeLessThan(16 * 1024 * 1024);
});
