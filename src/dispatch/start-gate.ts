import { giveWayMs } from './limits.ts';

/**
 * Lets first attempts go before starts that are not urgent. While nothing is urgent, `pass` resolves at once. Otherwise it
 * resolves when that has ended, and after `giveWayMs` at the latest, one call after the other: so the others continue slowly.
 *
 * @param isBusy whether something urgent is under way or waits; call `look` when that may have ended
 */
export function createStartGate(isBusy: () => boolean) {
  let endWait = (): void => undefined;
  let last = Promise.resolve();
  const wait = (): Promise<void> =>
    new Promise((resolve) => {
      if (!isBusy()) return resolve();
      const timer = setTimeout(resolve, giveWayMs);
      endWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  return {
    pass: (): Promise<void> => (last = last.then(wait)),
    look: (): void => {
      if (!isBusy()) endWait();
    },
  };
}
