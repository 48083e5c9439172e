import { constants, createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import type { StoredResponse } from '../db/attempts.ts';

/** Of a decompressed body: a few kilobytes can become gigabytes. */
const maxShownBytes = 64 * 1024;
const maxCodings = 2;

/**
 * A response's body as text: decompressed and decoded. A binary body is described instead, with its type and size.
 *
 * @example await responseText({ headers: { 'content-encoding': 'gzip' }, body, truncated: false }) // { body: 'Bad Gateway', truncated: false }
 */
export async function responseText({
  headers,
  body,
  truncated,
}: StoredResponse): Promise<{ body: string; truncated: boolean }> {
  if (body.length === 0) return { body: '', truncated };
  const codings = (headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity');
  const type = headers['content-type'] ?? '';
  const plain = await withoutCodings(body, codings);
  const text = plain === null ? null : toText(plain.bytes, type);
  if (plain === null || text === null) return { body: nameOf(body, type, codings), truncated };
  return { body: text, truncated: truncated || plain.isCut };
}

function nameOf({ length }: Buffer, type: string, codings: readonly string[]): string {
  const mediaType = /^[\w.+-]+\/[\w.+-]+/.exec(type) ?? [];
  const known = codings.filter((coding) => /^[\w-]{1,20}$/.test(coding));
  return `(binary, ${[...mediaType, ...known, `${length} bytes`].join(', ')})`;
}

type Decoded = { bytes: Buffer; isCut: boolean };

/** Null where the body does not match its header. */
async function withoutCodings(body: Buffer, codings: readonly string[]): Promise<Decoded | null> {
  let decoded: Decoded | null = { bytes: body, isCut: false };
  if (codings.length > maxCodings) return null;
  for (const coding of codings.toReversed()) {
    const next: Decoded | null = await decompress(decoded.bytes, coding);
    if (next === null) return null;
    decoded = { bytes: next.bytes, isCut: decoded.isCut || next.isCut };
  }
  return decoded;
}

async function decompress(body: Buffer, coding: string): Promise<Decoded | null> {
  const stream = streamFor(body, coding);
  if (stream === null) return null;
  const chunks: Buffer[] = [];
  let size = 0;
  let isCut = false;
  stream.end(body);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      isCut = size > maxShownBytes;
      if (isCut) break;
    }
  } catch {
    isCut = true;
  }
  return size === 0 && isCut ? null : { bytes: Buffer.concat(chunks).subarray(0, maxShownBytes), isCut };
}

/** Each decompresses as much as it can of a truncated body. */
function streamFor(body: Buffer, coding: string) {
  const finishFlush = constants.Z_SYNC_FLUSH;
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip({ finishFlush });
    case 'deflate':
      // Some servers omit the zlib header (RFC 9110, 8.4.1.2).
      return body.length > 1 && body.readUInt16BE(0) % 31 === 0
        ? createInflate({ finishFlush })
        : createInflateRaw({ finishFlush });
    case 'br':
      return createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH });
    default:
      return null;
  }
}

/** Null if it is not text. A character that is cut off at the end is left out. */
function toText(bytes: Buffer, contentType: string): string | null {
  const marked =
    bytes.length > 1 ? { 0xfeff: 'utf-16be', 0xfffe: 'utf-16le' }[bytes.readUInt16BE(0)] : undefined;
  const charset =
    marked ?? /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1]?.toLowerCase() ?? 'utf-8';
  if (!/^utf-?8$/.test(charset)) {
    const text = decodeAs(bytes, charset, false);
    if (text !== null) return text;
  }
  return (
    decodeAs(bytes, 'utf-8', true) ?? (hasControls(bytes) ? null : decodeAs(bytes, 'windows-1252', false))
  );
}

function decodeAs(bytes: Buffer, charset: string, fatal: boolean): string | null {
  try {
    return new TextDecoder(charset, { fatal }).decode(bytes, { stream: true });
  } catch {
    return null;
  }
}

const textControls = new Set([0x09, 0x0a, 0x0c, 0x0d, 0x1b]);
const hasControls = (bytes: Buffer): boolean => bytes.some((byte) => byte < 0x20 && !textControls.has(byte));
