const maxMs = 10;
const waiting: (() => void)[] = [];

function continueNext(): void {
  const next = waiting.shift();
  if (waiting.length > 0) setImmediate(continueNext);
  next?.();
}

/** Lets other work run first. Of all that wait here, one continues in each iteration of the event loop. */
function pause(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(continueNext);
  });
}

/**
 * For long work in a process that serves many requests: awaited after each part, it pauses when 10 ms have been used.
 *
 * @example const rest = createPauses(); for (const item of items) { work(item); await rest(); }
 */
export function createPauses(): () => Promise<void> {
  let startedAt = performance.now();
  return async () => {
    if (performance.now() - startedAt < maxMs) return;
    await pause();
    startedAt = performance.now();
  };
}
