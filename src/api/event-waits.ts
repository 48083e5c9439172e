import { createEventEnds, type AwaitedEvent } from '../db/event-ends.ts';
import { ApiError, unavailable } from '../errors.ts';

const defaults = { maxWaits: 1000, maxWaitsOfAccount: 100 };
type Options = Parameters<typeof createEventEnds>[0] & Partial<typeof defaults>;

/** The right of a request to wait once. */
export type EventWait = {
  /** Resolves when all deliveries of the event have ended, after so many seconds, when `isGone`, or when the process stops. */
  until(event: AwaitedEvent, isGone: AbortSignal): Promise<void>;
  /** It is not used. */
  leave(): void;
};

export type EventWaits = ReturnType<typeof createEventWaits>;

/** Requests of this process that wait until an event's deliveries have ended: so many, and fewer of each account. */
export function createEventWaits(options: Options) {
  const most = { ...defaults, ...options };
  const ends = createEventEnds(options);
  const counts = new Map<string, number>();
  let count = 0;
  return {
    /** Before anything is done for the request. @throws ApiError rate_limited or unavailable */
    open(accountId: string): EventWait {
      const ofAccount = counts.get(accountId) ?? 0;
      if (ofAccount >= most.maxWaitsOfAccount)
        throw new ApiError(
          'rate_limited',
          `${most.maxWaitsOfAccount} requests of the account wait for deliveries. Send the request without wait, or later.`,
          { retryAfterSeconds: 5 },
        );
      if (count >= most.maxWaits)
        throw unavailable(
          'Too many requests wait for deliveries. Send the request without wait, or later.',
          5,
        );
      count += 1;
      counts.set(accountId, ofAccount + 1);
      let isLeft = false;
      const leave = (): void => {
        if (isLeft) return;
        isLeft = true;
        count -= 1;
        const left = (counts.get(accountId) ?? 1) - 1;
        if (left > 0) counts.set(accountId, left);
        else counts.delete(accountId);
      };
      return { leave, until: (event, isGone) => ends.until(accountId, event, isGone).finally(leave) };
    },
    count: () => count,
    /** All respond now, as do later ones. */
    close: ends.close,
  };
}
