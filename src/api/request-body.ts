import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import express, { type Request, type Response } from 'express';
import type { z } from 'zod';
import { ApiError } from '../errors.ts';
import type { Reservation } from './body-memory.ts';
import { faultInWords } from './fault-words.ts';
import { bodyTooLarge, fault, toFieldErrors, validationError } from './problem-details.ts';

/**
 * Reads the body's bytes, decompressed. The caller releases `reservation`, to which the bytes are added.
 *
 * @throws ApiError unavailable, before the body is read where its length is known, or as `express.raw` does
 */
export function createBodyReader(maxBytes: number) {
  const readRaw = promisify(express.raw({ type: () => true, limit: maxBytes }));
  return async (request: Request, response: Response, reservation: Reservation): Promise<Buffer> => {
    // Its client went away while its caller was identified: it emits no event any more.
    if (request.destroyed) throw endedEarly();
    if (request.headers['content-encoding'] === undefined) return readPlain(request, maxBytes, reservation);
    // Its decompressed size is not known.
    reservation.add(maxBytes);
    await readRaw(request, response);
    return Buffer.isBuffer(request.body) ? request.body : empty;
  };
}

const empty = Buffer.alloc(0);
const endedEarly = () => new ApiError('bad_request', 'The request ended before its body did.');

/** Nearly all bodies are plain and small, and `express.raw` is slow for them. */
function readPlain(request: Request, maxBytes: number, reservation: Reservation): Promise<Buffer> {
  const declared = request.headers['content-length'];
  // Of a body that is too large, nothing is kept.
  if (declared !== undefined && Number(declared) <= maxBytes) reservation.add(Number(declared));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let isKept = true;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      // The rest is read and dropped: a client that is still sending would not see the response.
      if (!isKept) return;
      if (length > maxBytes) {
        isKept = false;
        chunks.length = 0;
        return;
      }
      try {
        if (declared === undefined) reservation.add(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        isKept = false;
        chunks.length = 0;
        reservation.release();
        reject(error);
      }
    });
    request.on('end', () => {
      if (length > maxBytes) reject(bodyTooLarge(maxBytes));
      else resolve(chunks.length === 1 ? (chunks[0] ?? empty) : Buffer.concat(chunks));
    });
    const endsEarly = () => {
      // Every request closes, and an error with its stack trace is expensive.
      if (!request.readableEnded) reject(endedEarly());
    };
    request.on('error', endsEarly);
    request.on('close', endsEarly);
  });
}

/**
 * The value as the schema returns it; `base` is its pointer.
 *
 * @throws ApiError validation_failed
 */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  base = '',
): z.output<Schema> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const count = isObject ? Object.keys(value).length : 0;
  if (count > maxFields)
    throw validationError([
      fault(base, `has ${count.toLocaleString('en')} fields: ${maxFields.toLocaleString('en')} at most`),
    ]);
  const parsed = schema.safeParse(value, { error: faultInWords });
  if (!parsed.success) throw validationError(toFieldErrors(parsed.error, base));
  return parsed.data;
}

/** No schema has so many fields: nearly all would be unknown ones, and checking each takes long. */
const maxFields = 1000;

/** SHA-256 of a body, which distinguishes a repeated request from another one. */
export function digestOf(body: Buffer): Buffer {
  return createHash('sha256').update(body).digest();
}
