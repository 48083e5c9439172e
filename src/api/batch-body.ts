import { maxBatchEvents, maxEventBytes } from '../contracts/event.ts';
import { ApiError } from '../errors.ts';
import { findItems, type Span } from './json-scan.ts';
import { parseJson } from './parse-json.ts';
import { fault, validationError } from './problem-details.ts';

/** Of a batch without its events. */
const maxBytesBeside = 64 * 1024;

/** An event of a batch that is not parsed yet: a part of the body. */
export type BatchItem = Span & { body: Buffer };

/**
 * Parses a batch without its events: 8 MiB of JSON can take seconds to parse, so the size of each event is checked first.
 * Each event is replaced by its index, and the rest of the body is parsed.
 *
 * @throws ApiError malformed_json, body_too_large, validation_failed
 */
export function parseBatch(body: Buffer): unknown {
  const items = findItems(body, maxBatchEvents);
  if (items.length > maxBatchEvents)
    throw validationError([fault('/events', `must hold at most ${maxBatchEvents} events`)]);
  const bytesBeside = items.reduce((sum, { start, end }) => sum - (end - start), body.length);
  if (bytesBeside > maxBytesBeside)
    throw new ApiError(
      'body_too_large',
      `A batch may have at most ${maxBytesBeside} bytes in addition to its events.`,
    );
  let outline = '';
  let from = 0;
  items.forEach(({ start, end }, index) => {
    outline += body.toString('latin1', from, start) + String(index);
    from = end;
  });
  outline += body.toString('latin1', from);
  const parsed = parseJson(Buffer.from(outline, 'latin1'), {
    body,
    offsetOf: (offset) => offsetInBody(items, offset),
  });
  const withBody = items.map((item) => ({ ...item, body }));
  return withItems(parsed, withBody);
}

/** Every array in the outline is an array of the body, so its numbers are indexes of `items`. */
function withItems(outline: unknown, items: readonly BatchItem[]): unknown {
  if (typeof outline !== 'object' || outline === null || Array.isArray(outline)) return outline;
  const members = Object.entries(outline as Record<string, unknown>).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map((index) => items[Number(index)]) : value,
  ]);
  return Object.fromEntries(members);
}

/** The offset in the body of a byte of the outline. */
function offsetInBody(items: readonly Span[], offset: number): number {
  let shift = 0;
  for (const [index, { start, end }] of items.entries()) {
    if (offset + shift < start) break;
    shift += end - start - String(index).length;
  }
  return offset + shift;
}

export const bytesOf = ({ body, start, end }: BatchItem): Buffer => body.subarray(start, end);

/** @throws ApiError body_too_large, before the item is parsed, or as `parseJson` does */
export function parseItem(item: BatchItem): unknown {
  const { body, start, end } = item;
  if (end - start > maxEventBytes)
    throw new ApiError('body_too_large', `An event may have at most ${maxEventBytes} bytes.`);
  return parseJson(bytesOf(item), { body, offsetOf: (offset) => start + offset });
}
