import { setTimeout as delay } from 'node:timers/promises';
import { readChanges } from './changes.ts';
import { readParked } from './rows.ts';
import { readRunning } from './workflows.ts';
import type { World } from './world.ts';

/** Workflows end, and the list of them lags behind, within so long. */
const endedMs = 15_000;
const commitMs = 2000;
/** A release is looked for every few seconds. */
const releasedMs = 6000;

/** No delivery that is parked has a workflow that runs. */
export async function findParkedWorkflows(world: World): Promise<string[]> {
  const deadline = Date.now() + endedMs;
  for (;;) {
    const before = Date.now() - commitMs;
    const parked = new Set((await readParked(world.pool)).map(({ id }) => id));
    if (parked.size === 0) return [];
    const running = await readRunning(world);
    for (const { deliveryId, at } of await readChanges(world.pool))
      if (deliveryId !== null && at > before) parked.delete(deliveryId);
    const faults = running.flatMap(({ workflowId, deliveryIds }) =>
      // A group runs until all of its attempts have ended.
      deliveryIds
        .filter((id) => parked.has(id) && id === workflowId)
        .map((id) => `${id} is parked, and its workflow runs`),
    );
    if (faults.length === 0 || Date.now() > deadline) return faults;
    await delay(500);
  }
}

/**
 * No delivery stays parked whose webhook is no longer paced, or whose probe is due. To be called when nothing else is under
 * way, at least an hour after the last fault.
 */
export async function findForgotten({ pool }: World): Promise<string[]> {
  const deadline = Date.now() + releasedMs;
  const first = await readParked(pool);
  for (;;) {
    const now = await readParked(pool);
    const still = first.filter(({ id, isDue }) => isDue && now.some((each) => each.id === id && each.isDue));
    // One released is enough: the others come after it.
    const hasMoved = (webhookId: string) =>
      first.some((row) => row.webhookId === webhookId && !now.some(({ id }) => id === row.id));
    const forgotten = still.filter(({ webhookId }) => !hasMoved(webhookId));
    if (forgotten.length === 0) return [];
    if (Date.now() > deadline)
      return forgotten
        .slice(0, 3)
        .map(({ id, webhookId }) => `${id} to ${webhookId} stays parked, though nothing limits it`);
    await delay(300);
  }
}
