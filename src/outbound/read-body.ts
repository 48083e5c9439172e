import type { Readable } from 'node:stream';

type ReadBody = { body: Buffer; truncated: boolean };

/** How much of an answer's body is kept, in bytes. */
const maxBodyBytes = 16 * 1024;

/**
 * Reads at most `maxBytes` of an answer's body, until its end or until the signal aborts, and keeps no more
 * than that in memory. A body with more, or one that breaks off, is `truncated` and its stream destroyed,
 * which ends the connection; a complete one leaves the connection reusable. Never rejects: by now the
 * attempt's outcome is known. The bytes are as they came: Content-Encoding is not undone, so a
 * decompression bomb stays small.
 *
 * @example
 * const { body, truncated } = await readBody(answer.body, AbortSignal.timeout(800));
 */
export function readBody(stream: Readable, signal: AbortSignal, maxBytes = maxBodyBytes): Promise<ReadBody> {
  return new Promise((resolve) => {
    let kept: Buffer | undefined;
    let size = 0;

    const finish = (truncated: boolean): void => {
      signal.removeEventListener('abort', cut);
      stream.off('data', keep).off('end', complete).off('close', cut);
      if (truncated) stream.destroy();
      resolve({ body: Buffer.from(kept?.subarray(0, size) ?? []), truncated });
    };
    const cut = (): void => finish(true);
    const complete = (): void => finish(false);
    const keep = (chunk: Buffer): void => {
      // Copied, because a chunk may hold on to a far larger slab.
      kept ??= Buffer.alloc(maxBytes);
      const taken = chunk.copy(kept, size);
      size += taken;
      if (taken < chunk.length) cut();
    };

    // Stays after the end: destroying the stream reports the destruction as an error.
    stream.on('error', cut);
    stream.on('data', keep).on('end', complete).on('close', cut);
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
  });
}
