import { setTimeout as delay } from 'node:timers/promises';
import { cutConnections } from './rows.ts';
import type { World } from './world.ts';

/** One fault at a time: what the one before stopped is back. The fault itself goes on beside the steps that follow. */
async function strike(world: World, kind: string, work: () => Promise<void>): Promise<void> {
  await world.joined('fault');
  world.inBackground('fault', world.disturb(kind, work));
}

export async function cutAll(world: World): Promise<void> {
  await world.joined('fault');
  await world.disturb('connections cut', () => cutConnections(world.pool));
}

export const restartPostgres = (world: World, downMs: number): Promise<void> =>
  strike(world, 'PostgreSQL restarted', () => world.servers.restartPostgres(downMs));

export const killTemporal = (world: World, downMs: number): Promise<void> =>
  strike(world, 'Temporal killed', () => world.servers.restartTemporal(downMs));

export const killProcess = (world: World, index: number, downMs: number): Promise<void> =>
  strike(world, 'process killed', async () => {
    await world.processes.kill(index);
    await delay(downMs);
    world.processes.start(index);
  });

export const restartProcess = (world: World, index: number): Promise<void> =>
  strike(world, 'process restarted', async () => {
    await world.processes.stop(index);
    world.processes.start(index);
  });

export const pauseProcess = (world: World, index: number, ms: number): Promise<void> =>
  strike(world, 'process paused', () => world.processes.pause(index, ms));

/** One process after the other is restarted with another cap, as an operator does it. 0: no cap. */
export async function changeCap(world: World, cap: number): Promise<void> {
  const { model, processes } = world;
  const before = model.caps.at(-1);
  if (before?.cap === cap) return;
  await strike(world, 'cap changed', async () => {
    model.caps.push({ cap, from: Date.now(), to: Infinity });
    for (let index = 0; index < processes.count; index += 1) {
      await processes.stop(index);
      processes.start(index, { FLTR_DELIVERIES_PER_HOUR: String(cap) });
      await processes.untilReady();
    }
    if (before) before.to = Date.now();
  });
}
