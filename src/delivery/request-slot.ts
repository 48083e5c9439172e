import { setTimeout as delay } from 'node:timers/promises';
import type { Slot } from '../db/rate-limit-slots.ts';
import type { AttemptResult } from '../domain/attempt-result.ts';

/** How often a slot is requested again after the delivery was held or released meanwhile. Then the activity fails, and Temporal retries it. */
const maxChanges = 3;
/** A slot that is free so soon is waited for here: a timer of the workflow, and an entry of the timeline, would say no more. */
const patienceMs = 250;
/** All such waits of an attempt together: meanwhile it occupies a slot of the worker. */
const maxWaitMs = 750;
/** How often a process asks whether another one's attempt has ended, where they may not be under way at once. */
const busyPauseMs = 100;
/** After that it comes back so much later. */
const busySeconds = 1;

/** The right to begin a request. */
export type Grant = {
  /** The webhook is down, or has just recovered. */
  isProbe: boolean;
  /** It occupies a slot. */
  isCounted: boolean;
  /** @throws SlotTooLate where the request may no longer begin, but with another slot */
  begin: () => void;
};

export const unlimited: Grant = { isProbe: false, isCounted: false, begin: () => {} };

/** The request was about to begin later than its slot allows. Nothing was sent. */
export class SlotTooLate extends Error {}

type Requests = {
  deliveryId: string;
  /** `patienceMs`: a time that comes so soon is not written. */
  takeSlot: (patienceMs: number) => Promise<Slot>;
  /** The result if the delivery has changed and no attempt is to be made; null: the attempt continues. */
  stop: () => Promise<AttemptResult | null>;
  /** The result of a deferral that was written. */
  deferred: (slot: Extract<Slot, { is: 'deferred' }>) => AttemptResult;
  /** The result where the delivery was parked. */
  parked: () => AttemptResult;
};

/** Requests a slot for an attempt, until it is granted or there is another result. */
export async function requestSlot({ deliveryId, takeSlot, stop, deferred, parked }: Requests) {
  const endAt = performance.now() + maxWaitMs;
  let changes = 0;
  for (;;) {
    const slot = await takeSlot(performance.now() < endAt ? patienceMs : 0);
    switch (slot.is) {
      case 'granted':
        return grantOf(slot);
      case 'deferred':
        return deferred(slot);
      case 'parked':
        return parked();
      case 'changed':
        changes += 1;
        if (changes > maxChanges)
          throw new Error(
            `${deliveryId} was held and released again and again while its attempt was decided`,
          );
        break;
      case 'soon':
        await delay(slot.waitMs);
        break;
      case 'busy':
        if (performance.now() >= endAt) return { next: 'busy' as const, seconds: busySeconds };
        await delay(busyPauseMs);
    }
    const stopped = await stop();
    if (stopped) return stopped;
  }
}

function grantOf({ isProbe, startBy = Infinity }: Extract<Slot, { is: 'granted' }>): Grant {
  return {
    isProbe: isProbe === true,
    isCounted: true,
    begin() {
      if (performance.now() > startBy) throw new SlotTooLate();
    },
  };
}
