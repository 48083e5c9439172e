import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { ApiError } from '../errors.ts';
import { toFieldErrors, validationError } from './problem.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The body as JSON, whatever content type was said: the documentation's own curl lines send none.
 *
 * @throws ApiError malformed_json
 */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) throw new ApiError('malformed_json', 'The body is empty: send a JSON object.');
  try {
    return JSON.parse(utf8.decode(body));
  } catch (error) {
    const where =
      error instanceof SyntaxError
        ? /at position \d+( \(line \d+ column \d+\))?/.exec(error.message)?.[0]
        : 'it is no UTF-8';
    throw new ApiError(
      'malformed_json',
      `The body is not valid JSON${where === undefined ? '' : ` (${where})`}.`,
    );
  }
}

/** @throws ApiError validation_failed with every fault */
export function validate<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw validationError(toFieldErrors(parsed.error));
  return parsed.data;
}

/** SHA-256 of a body, by which a repeated request is told from another one. */
export function digestOf(body: Buffer): Buffer {
  return createHash('sha256').update(body).digest();
}

/** Deeper than this, no data is meant to be; far deeper, writing it as JSON would exhaust the stack. */
const maxDepth = 64;

export function isTooDeep(value: unknown, depth = 1): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth > maxDepth) return true;
  return Object.values(value).some((child) => isTooDeep(child, depth + 1));
}
