import { maxBatchEvents, maxEventBytes } from '../contracts/event.ts';
import { ApiError } from '../errors.ts';
import { findItems, type Span } from './json-marks.ts';
import { parseJson } from './parse-json.ts';
import { fault, validationError } from './problem.ts';

/** What a batch has beside its events. */
const maxBytesBeside = 64 * 1024;

/** An event of a batch, not parsed yet: the part of the body that it is. */
export type BatchItem = Span & { body: Buffer };

/**
 * A batch whose events are not parsed: 8 MiB of JSON can take seconds to parse, so the size of each event is known before
 * any of it is. In place of each event stands a number, and what is left of the body is parsed alone.
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
      `A batch may have at most ${maxBytesBeside} bytes beside its events.`,
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
  return withItems(
    parsed,
    items.map(({ start, end }) => ({ body, start, end })),
  );
}

/** All arrays that the outline's object has are such of the body, so their numbers are places in `items`. */
function withItems(outline: unknown, items: readonly BatchItem[]): unknown {
  if (typeof outline !== 'object' || outline === null || Array.isArray(outline)) return outline;
  const members = Object.entries(outline as Record<string, unknown>).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map((place) => items[Number(place)]) : value,
  ]);
  return Object.fromEntries(members);
}

/** Where a byte of the outline stands in the body. */
function offsetInBody(items: readonly Span[], offset: number): number {
  let shift = 0;
  for (const [index, { start, end }] of items.entries()) {
    if (offset + shift < start) break;
    shift += end - start - String(index).length;
  }
  return offset + shift;
}

export const bytesOf = ({ body, start, end }: BatchItem): Buffer => body.subarray(start, end);

/** The item as JSON. @throws ApiError body_too_large, before it is parsed, or as `parseJson` does */
export function parseItem(item: BatchItem): unknown {
  const { body, start, end } = item;
  if (end - start > maxEventBytes)
    throw new ApiError('body_too_large', `An event may have at most ${maxEventBytes} bytes.`);
  return parseJson(bytesOf(item), { body, offsetOf: (offset) => start + offset });
}
