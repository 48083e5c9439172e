import { setTimeout as delay } from 'node:timers/promises';
import { wakeDue } from './rows.ts';
import { shiftTime } from './shift-time.ts';
import type { World } from './world.ts';

const quietMs = 2500;

/**
 * So many hours pass. Faults under way end before, and requests under way may end: an attempt that began before and is
 * recorded after would not have moved. False where the database could not be reached.
 */
export async function passHours(world: World, hours: number): Promise<boolean> {
  const { model, pool, receivers } = world;
  await world.joined('fault');
  const deadline = Date.now() + quietMs;
  while (receivers.open() > 0 && Date.now() < deadline) await delay(20);
  try {
    model.shifts.push({ at: await shiftTime(pool, hours), hours });
  } catch {
    return false;
  }
  await wakeDue(pool);
  return true;
}
