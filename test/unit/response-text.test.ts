import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { responseText } from '../../src/api/response-text.ts';
import { boundHeaders } from '../../src/outbound/response-headers.ts';

const show = (body: Buffer, headers: Record<string, string> = {}, truncated = false) =>
  responseText({ headers, body, truncated });
const text = 'Bad Gateway: no upstream for größe 😀';
const bytes = Buffer.from(text);

test.each([
  ['gzip', gzipSync(bytes)],
  ['x-gzip', gzipSync(bytes)],
  ['GZIP', gzipSync(bytes)],
  ['deflate', deflateSync(bytes)],
  ['deflate', deflateRawSync(bytes)],
  ['br', brotliCompressSync(bytes)],
  ['identity', bytes],
  ['gzip, br', brotliCompressSync(gzipSync(bytes))],
])('a body with Content-Encoding: %s is shown as its text', async (coding, body) => {
  expect(await show(body, { 'content-encoding': coding })).toEqual({ body: text, truncated: false });
});

test.each([
  ['text/plain; charset=iso-8859-1', Buffer.from('größe', 'latin1'), 'größe'],
  ['text/plain; charset="UTF-16LE"', Buffer.from('größe', 'utf16le'), 'größe'],
  ['text/html', Buffer.from('\ufeffgröße', 'utf16le'), 'größe'],
  ['text/plain', Buffer.from('größe', 'latin1'), 'größe'],
  ['text/plain; charset=Shift_JIS', Buffer.from([0x83, 0x47, 0x83, 0x89, 0x81, 0x5b]), 'エラー'],
  ['text/plain; charset=no-such', bytes, text],
  ['application/json', Buffer.from('a\0b'), 'a\0b'],
  ['text/plain', Buffer.from('größe😀').subarray(0, -1), 'größe'],
])('a body of type %s is read in its characters', async (type, body, expected) => {
  expect(await show(body, { 'content-type': type })).toEqual({ body: expected, truncated: false });
});

test('a body that is no text is described by its type, coding and size', async () => {
  const binary = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 0xff]);
  expect((await show(binary, { 'content-type': 'image/png; a=b' })).body).toBe(
    '(binary, image/png, 8 bytes)',
  );
  expect((await show(binary)).body).toBe('(binary, 8 bytes)');
  expect((await show(binary, { 'content-encoding': 'gzip' })).body).toBe('(binary, gzip, 8 bytes)');
  expect((await show(bytes, { 'content-encoding': 'zstd' })).body).toMatch(/^\(binary, zstd, \d+ bytes\)$/);
  expect((await show(gzipSync(binary), { 'content-encoding': 'gzip' })).body).toMatch(/^\(binary, gzip, /);
});

test('a compressed body that was cut is shown as far as it goes', async () => {
  const lines = Array.from({ length: 2000 }, (_, index) => `line ${index * 7919}`).join('\n');
  for (const [coding, body] of [
    ['gzip', gzipSync(lines)],
    ['br', brotliCompressSync(lines)],
  ] as const) {
    const shown = await show(body.subarray(0, 2000), { 'content-encoding': coding }, true);
    expect(shown.truncated).toBe(true);
    expect(shown.body.length).toBeGreaterThan(100);
    expect(lines.startsWith(shown.body)).toBe(true);
  }
});

test('a body that unpacks without end is cut', async () => {
  const zeros = Buffer.alloc(4 * 1024 * 1024, 'a');
  for (const [coding, body] of [
    ['gzip', gzipSync(zeros)],
    ['br', brotliCompressSync(zeros)],
    ['gzip, gzip', gzipSync(gzipSync(zeros))],
  ] as const) {
    const shown = await show(body, { 'content-encoding': coding });
    expect(shown.truncated).toBe(true);
    expect(shown.body).toBe('a'.repeat(64 * 1024));
  }
  // Each layer could unpack the one below it.
  expect((await show(bytes, { 'content-encoding': 'gzip, '.repeat(50) })).body).toMatch(/^\(binary, /);
});

test('a header in UTF-8 is kept as its sender wrote it, one in Latin-1 too', () => {
  const asRead = (value: string, encoding: BufferEncoding) => Buffer.from(value, encoding).toString('latin1');
  expect(
    boundHeaders({
      'x-utf8': asRead('größe 😀', 'utf8'),
      'x-latin1': asRead('größe', 'latin1'),
      'x-list': [asRead('é', 'utf8'), 'b'],
    }),
  ).toEqual({ 'x-utf8': 'größe 😀', 'x-latin1': 'größe', 'x-list': 'é, b' });
});
