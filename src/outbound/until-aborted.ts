/**
 * A promise of a callback's result that is also rejected, with the signal's reason, when the signal aborts.
 * `start` gets `resolve` and `reject` and returns what undoes it; that is called on abort only.
 */
export function untilAborted<T>(
  signal: AbortSignal,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = (): void => {
      undo();
      reject(signal.reason as Error);
    };
    const settle = <A>(how: (value: A) => void): ((value: A) => void) => {
      return (value) => {
        signal.removeEventListener('abort', onAbort);
        how(value);
      };
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const undo = start(settle(resolve), settle(reject));
  });
}
