import { createHash } from 'node:crypto';
import express, { type Request, type Response } from 'express';
import type { z } from 'zod';
import { ApiError } from '../errors.ts';
import { bodyTooLarge, toFieldErrors, validationError } from './problem.ts';

/** The body's bytes, unpacked where it is compressed. @throws as `express.raw` does, once the request is read to its end */
export function createBodyReader(maxBytes: number) {
  const raw = express.raw({ type: () => true, limit: maxBytes });
  return async (request: Request, response: Response): Promise<Buffer> => {
    if (request.headers['content-encoding'] === undefined) return readPlain(request, maxBytes);
    await new Promise<void>((resolve, reject) => {
      raw(request, response, (error?: unknown) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
    return Buffer.isBuffer(request.body) ? request.body : empty;
  };
}

const empty = Buffer.alloc(0);

/** Nearly all bodies are plain and small, for which `express.raw` does a lot. */
function readPlain(request: Request, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxBytes) chunks.push(chunk);
      // What is too large is read on, and dropped: a client that is still sending would not see the answer.
      else chunks.length = 0;
    });
    request.on('end', () => {
      if (length > maxBytes) reject(bodyTooLarge(maxBytes));
      else resolve(chunks.length === 1 ? (chunks[0] ?? empty) : Buffer.concat(chunks, length));
    });
    request.on('error', () => reject(new ApiError('bad_request', 'The request ended before its body did.')));
  });
}

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
  if (Array.isArray(value)) return value.some((child) => isTooDeep(child, depth + 1));
  // What JSON.parse makes has no inherited names.
  for (const name in value) if (isTooDeep((value as Record<string, unknown>)[name], depth + 1)) return true;
  return false;
}
