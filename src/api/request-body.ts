import { createHash } from 'node:crypto';
import express, { type Request, type Response } from 'express';
import type { z } from 'zod';
import { ApiError } from '../errors.ts';
import type { HeldRoom } from './body-room.ts';
import { faultInWords } from './fault-words.ts';
import { bodyTooLarge, fault, toFieldErrors, validationError } from './problem.ts';

/**
 * The body's bytes, unpacked where it is compressed. What it takes of `room` stays taken: the caller gives it back.
 *
 * @throws ApiError unavailable, before the body is read where its length is known, or as `express.raw` does
 */
export function createBodyReader(maxBytes: number) {
  const raw = express.raw({ type: () => true, limit: maxBytes });
  return async (request: Request, response: Response, room: HeldRoom): Promise<Buffer> => {
    if (request.headers['content-encoding'] === undefined) return readPlain(request, maxBytes, room);
    // How much it unpacks to is not known.
    room.take(maxBytes);
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
function readPlain(request: Request, maxBytes: number, room: HeldRoom): Promise<Buffer> {
  const said = request.headers['content-length'];
  // Of a body that is too large, nothing is kept.
  if (said !== undefined && Number(said) <= maxBytes) room.take(Number(said));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let isKept = true;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      // What is not kept is read on, and dropped: a client that is still sending would not see the response.
      if (!isKept) return;
      if (length > maxBytes) {
        isKept = false;
        chunks.length = 0;
        return;
      }
      try {
        if (said === undefined) room.take(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        isKept = false;
        chunks.length = 0;
        room.giveBack();
        reject(error);
      }
    });
    request.on('end', () => {
      if (length > maxBytes) reject(bodyTooLarge(maxBytes));
      else resolve(chunks.length === 1 ? (chunks[0] ?? empty) : Buffer.concat(chunks));
    });
    const endsEarly = () => reject(new ApiError('bad_request', 'The request ended before its body did.'));
    request.on('error', endsEarly);
    request.on('close', endsEarly);
  });
}

/**
 * The value as the schema gives it back; `base` is its pointer.
 *
 * @throws ApiError validation_failed with every fault, up to as many as are listed
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

/** No object with named fields has so many: all but a few are unknown ones, which are not to be looked at one by one. */
const maxFields = 1000;

/** SHA-256 of a body, by which a repeated request is told from another one. */
export function digestOf(body: Buffer): Buffer {
  return createHash('sha256').update(body).digest();
}
