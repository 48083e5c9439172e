import { setTimeout as delay } from 'node:timers/promises';

/** A process that was just started is given so long. */
export const readyWithinMs = 60_000;
const [pollMs, pollForMs] = [200, 20_000];

/** Whether it becomes ready. */
export async function pollReady(isReady: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + pollForMs;
  while (!(await isReady())) {
    if (Date.now() > deadline) return false;
    await delay(pollMs);
  }
  return true;
}
