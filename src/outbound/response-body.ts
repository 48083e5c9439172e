/** How much of a response's body is kept, in bytes. */
const maxBodyBytes = 16 * 1024;

export type BodyKeeper = {
  /** Adds the next piece. False: it had more than is kept, and the rest is not wanted. */
  keep(chunk: Buffer): boolean;
  /** The received bytes, at most 16 KiB. */
  read(): Buffer;
};

/**
 * Keeps the beginning of a body that comes in pieces. The bytes are as they came: Content-Encoding is not undone, so a
 * decompression bomb stays small.
 *
 * @example
 * const body = createBodyKeeper();
 * body.keep(Buffer.from('thanks'));
 * body.read().toString(); // 'thanks'
 */
export function createBodyKeeper(maxBytes = maxBodyBytes): BodyKeeper {
  let kept = Buffer.alloc(0);
  let size = 0;

  return {
    keep(chunk) {
      const added = Math.min(chunk.length, maxBytes - size);
      const needed = size + added;
      if (needed > kept.length) {
        // Most bodies come in one piece; of those that do not, each byte is copied a few times at most.
        const larger = Buffer.allocUnsafe(
          size === 0 ? needed : Math.min(maxBytes, Math.max(needed, 2 * size)),
        );
        kept.copy(larger, 0, 0, size);
        kept = larger;
      }
      // Copied, because a chunk may hold on to a far larger slab.
      chunk.copy(kept, size, 0, added);
      size = needed;
      return added === chunk.length;
    },
    read: () => kept.subarray(0, size),
  };
}
