/** The present step of an attempt. It decides the error code of a timeout. */
export type Phase = 'wait' | 'dns' | 'connect' | 'tls' | 'response';

/**
 * Shared by the steps of one attempt: the present step, and the reason for an early end. An `AbortSignal` would do as well;
 * making one and listening to it costs more than all else here.
 */
export type Progress = {
  /** `wait`: for something of this process, which is not the receiver's time. */
  phase: Phase;
  /** Why the attempt is to end: its time is over, or its caller gave up. */
  readonly ended: Error | undefined;
  /** Set by the present step: called when the attempt ends early. One step is under way at a time. */
  onEnd: ((reason: Error) => void) | undefined;
};

/**
 * Begins an attempt, which waits first. It ends after `limitMs` (milliseconds), unless `restart` gives it another limit
 * from then on; or when `end` is called. `stop` removes the timer.
 *
 * @example
 * const { progress, end, restart, stop } = startProgress(3_000);
 * const lease = await pool.acquire(target, client, progress);
 * restart(5_000);
 * const connection = await lease.connect().finally(stop);
 */
export function startProgress(limitMs: number): {
  progress: Progress;
  end: (reason: Error) => void;
  restart: (limitMs: number) => void;
  stop: () => void;
} {
  const progress: { -readonly [name in keyof Progress]: Progress[name] } = {
    phase: 'wait',
    ended: undefined,
    onEnd: undefined,
  };
  const end = (reason: Error): void => {
    if (progress.ended !== undefined) return;
    progress.ended = reason;
    progress.onEnd?.(reason);
  };
  const endAfter = (milliseconds: number): NodeJS.Timeout => {
    const started = setTimeout(() => {
      // A busy event loop runs timers first: a response that is already here is handled before the deadline.
      setImmediate(() => {
        if (started === timer) end(new Error('The time for this attempt is over.'));
      });
    }, milliseconds);
    return started;
  };
  let timer = endAfter(limitMs);
  const restart = (milliseconds: number): void => {
    clearTimeout(timer);
    timer = endAfter(milliseconds);
  };
  return { progress, end, restart, stop: () => clearTimeout(timer) };
}

/**
 * A promise of a callback's result that is also rejected, with the reason, when the attempt ends early.
 * `start` gets `resolve` and `reject` and returns a function that undoes it, which is called only when it ends early.
 */
export function untilEnded<T>(
  progress: Progress,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    throwIfEnded(progress);
    let isDone = false;
    const finish = <A>(how: (value: A) => void): ((value: A) => void) => {
      return (value) => {
        if (isDone) return;
        isDone = true;
        progress.onEnd = undefined;
        how(value);
      };
    };
    const undo = start(finish(resolve), finish(reject));
    if (isDone) return;
    progress.onEnd = (reason) => {
      finish(reject)(reason);
      undo();
    };
  });
}

export function throwIfEnded({ ended }: Progress): void {
  if (ended !== undefined) throw ended;
}
