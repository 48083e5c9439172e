import { setTimeout as sleep } from 'node:timers/promises';
import { logSizeBytes, logTail } from './log-file.ts';
import type { Child, ChildExit } from './supervise.ts';

type Options<T> = {
  name: string;
  logFile: string;
  timeoutMs: number;
  /** Another start follows when the log matches it. */
  temporaryFault: RegExp;
  /** Starts the program once, on ports that are free. */
  start: () => Promise<{ child: Child; at: T }>;
  /** Whether it is ready, from its output since this start; an error means not yet. */
  isReady: (at: T, output: () => string) => Promise<boolean>;
  /** Waiting longer does not help after this error. */
  isFinal?: (error: unknown) => boolean;
};

/** Starts a server and waits until it is ready. Throws with the end of its log if it does not become ready in time. */
export async function startServer<T extends object>(options: Options<T>): Promise<Child & T> {
  const { name, logFile, timeoutMs, temporaryFault, start } = options;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const logStart = logSizeBytes(logFile);
    const { child, at } = await start();
    const output = () => logTail(logFile, logStart, 1_000);
    const failure = await waitUntilReady(child, () => options.isReady(at, output), deadline, options.isFinal);
    if (failure === undefined) return { ...child, ...at };
    await child.stop();
    const tail = logTail(logFile, logStart);
    if (!temporaryFault.test(tail) || Date.now() > deadline)
      throw new Error(`${name} did not start: ${failure}. The end of ${logFile}:\n${tail}`);
    await sleep(500);
  }
}

/** Returns undefined, or the failure. */
async function waitUntilReady(
  child: Child,
  isReady: () => Promise<boolean>,
  deadline: number,
  isFinal: (error: unknown) => boolean = () => false,
): Promise<string | undefined> {
  let exit: ChildExit | undefined;
  void child.exited.then((how) => (exit = how));
  let last = 'it did not respond in time';
  while (Date.now() < deadline) {
    if (exit !== undefined) return `it exited (${exit.signal ?? `code ${exit.code}`})`;
    try {
      if (await isReady()) return undefined;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
      if (isFinal(error)) return last;
    }
    await sleep(50);
  }
  return last;
}
