/** What an attempt is busy with; decides what running out of time is called. */
export type Phase = 'lookup' | 'connect' | 'tls' | 'answer';

/**
 * Shared by the steps of one attempt: where it stands, and what ends it early. An `AbortSignal` would do as well; making
 * one and listening to it costs more than all else here.
 */
export type Progress = {
  phase: Phase;
  /** Why the attempt is to end: its time is over, or its caller gave up. */
  readonly ended: Error | undefined;
  /** What the step under way wants done when it ends early. One step is under way at a time. */
  onEnd: ((reason: Error) => void) | undefined;
};

/**
 * Begins an attempt that ends after `timeoutMs` (milliseconds), or when `end` is called. `stop` takes the timer away.
 *
 * @example
 * const { progress, end, stop } = startProgress(5_000);
 * const socket = await connect(target, progress).finally(stop);
 */
export function startProgress(timeoutMs: number): {
  progress: Progress;
  end: (reason: Error) => void;
  stop: () => void;
} {
  const progress: { -readonly [name in keyof Progress]: Progress[name] } = {
    phase: 'connect',
    ended: undefined,
    onEnd: undefined,
  };
  const end = (reason: Error): void => {
    if (progress.ended !== undefined) return;
    progress.ended = reason;
    progress.onEnd?.(reason);
  };
  const timer = setTimeout(() => {
    // A busy event loop runs timers first: an answer that is already here gets its turn before the deadline.
    setImmediate(() => end(new Error('The time for this attempt is over.')));
  }, timeoutMs);
  return { progress, end, stop: () => clearTimeout(timer) };
}

/**
 * A promise of a callback's result that is also rejected, with the reason, when the attempt ends early.
 * `start` gets `resolve` and `reject` and returns what undoes it; that is called when it ends early only.
 */
export function untilEnded<T>(
  progress: Progress,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    throwIfEnded(progress);
    let isSettled = false;
    const settle = <A>(how: (value: A) => void): ((value: A) => void) => {
      return (value) => {
        if (isSettled) return;
        isSettled = true;
        progress.onEnd = undefined;
        how(value);
      };
    };
    const undo = start(settle(resolve), settle(reject));
    if (isSettled) return;
    progress.onEnd = (reason) => {
      settle(reject)(reason);
      undo();
    };
  });
}

export function throwIfEnded({ ended }: Progress): void {
  if (ended !== undefined) throw ended;
}
