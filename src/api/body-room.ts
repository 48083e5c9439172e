import { ApiError } from '../errors.ts';

/**
 * What requests' bodies may take of a process's memory together, and those of one account: what one sends, however slowly,
 * leaves room for the others.
 */
const bodyRoom = { bytes: 128 * 1024 * 1024, bytesOfOwner: 32 * 1024 * 1024 };

/** What one request holds of the room, until it is given back. */
export type HeldRoom = { take(bytes: number): void; giveBack(): void };

/** @example const held = createBodyRoom().open('acc_1'); held.take(1024); held.giveBack() */
export function createBodyRoom(max: typeof bodyRoom = bodyRoom) {
  const owners = new Map<string, number>();
  let total = 0;
  const change = (owner: string, bytes: number): void => {
    total += bytes;
    const rest = (owners.get(owner) ?? 0) + bytes;
    if (rest === 0) owners.delete(owner);
    else owners.set(owner, rest);
  };
  return {
    open(owner: string): HeldRoom {
      let held = 0;
      return {
        /** @throws ApiError unavailable where so much more does not fit */
        take(bytes) {
          if (total + bytes > max.bytes || (owners.get(owner) ?? 0) + bytes > max.bytesOfOwner)
            throw new ApiError(
              'unavailable',
              'Too many bytes of requests are being received at this moment. Send it again.',
              { retryAfterSeconds: 1, limit: 'bodies' },
            );
          held += bytes;
          change(owner, bytes);
        },
        giveBack() {
          change(owner, -held);
          held = 0;
        },
      };
    },
  };
}
export type BodyRoom = ReturnType<typeof createBodyRoom>;
