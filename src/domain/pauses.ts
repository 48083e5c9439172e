const maxMs = 10;
const waiting: (() => void)[] = [];

function goOn(): void {
  const next = waiting.shift();
  if (waiting.length > 0) setImmediate(goOn);
  next?.();
}

/** Lets everything else that is due run first. Of those that wait here, one a round goes on, so their parts do not add up. */
function pause(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(goOn);
  });
}

/**
 * For work that takes long in one process that answers many: awaited after each part, it pauses where 10 ms were used.
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
