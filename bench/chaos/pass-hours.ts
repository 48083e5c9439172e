import { setTimeout as delay } from 'node:timers/promises';
import { readAttempts, wakeDue } from './rows.ts';
import { shiftTime } from './shift-time.ts';
import type { World } from './world.ts';

const mostAttempts = 60;
const betweenAttemptsMs = 60;
/** By then, receivers have read the requests from before the processes stopped. */
const arrivalMs = 15;
/** A request that is not in the log by then never will be: its process died. */
const loggedMs = 3000;

/**
 * Lets hours pass at a moment without an attempt under way: the times of one that began before and is recorded after would
 * not be moved. False where there was no such moment, or no database.
 */
export async function passHours(world: World, hours: number): Promise<boolean> {
  const { model, pool, processes } = world;
  // First the fault under way ends.
  await world.joined('fault');
  try {
    for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
      const thaw = processes.freeze();
      try {
        await delay(arrivalMs);
        const at = (await isQuiet(world)) ? await shiftTime(pool, hours) : null;
        if (at !== null) {
          model.shifts.push({ at, hours });
          await wakeDue(pool);
          return true;
        }
      } finally {
        thaw();
      }
      await delay(betweenAttemptsMs);
    }
  } catch (error) {
    world.print(`  time could not pass: ${String(error)}`);
  }
  return false;
}

async function isQuiet({ receivers, pool }: World): Promise<boolean> {
  if (receivers.open() > 0) return false;
  const recent = receivers.requests.filter(({ at }) => at > Date.now() - loggedMs);
  if (recent.length === 0) return true;
  const logged = new Set((await readAttempts(pool)).map(({ id }) => id));
  return recent.every(({ attemptId }) => logged.has(attemptId));
}
