import { unavailable } from '../errors.ts';

/** The most memory for all request bodies, and for those of one account: one slow client cannot use up all of it. */
const limits = { bytes: 128 * 1024 * 1024, bytesPerOwner: 32 * 1024 * 1024 };

/** The memory that one request has reserved, until it releases it. */
export type Reservation = { add(bytes: number): void; release(): void };

/** @example const reservation = createBodyMemory().open('acc_1'); reservation.add(1024); reservation.release() */
export function createBodyMemory(max: typeof limits = limits) {
  const owners = new Map<string, number>();
  let total = 0;
  const change = (owner: string, bytes: number): void => {
    total += bytes;
    const rest = (owners.get(owner) ?? 0) + bytes;
    if (rest === 0) owners.delete(owner);
    else owners.set(owner, rest);
  };
  return {
    open(owner: string): Reservation {
      let reserved = 0;
      return {
        /** @throws ApiError unavailable */
        add(bytes) {
          if (total + bytes > max.bytes || (owners.get(owner) ?? 0) + bytes > max.bytesPerOwner)
            throw unavailable(
              'Too many bytes of requests are being received right now. Send the request again.',
              1,
              'bodies',
            );
          reserved += bytes;
          change(owner, bytes);
        },
        release() {
          change(owner, -reserved);
          reserved = 0;
        },
      };
    },
  };
}
export type BodyMemory = ReturnType<typeof createBodyMemory>;
