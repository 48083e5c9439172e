import { setTimeout as delay } from 'node:timers/promises';
import { cutConnections } from './rows.ts';
import type { World } from './world.ts';

/** One fault at a time: it waits until the one before is over. The fault continues in the background of the next steps. */
export async function inject(
  world: World,
  kind: string,
  work: () => Promise<void>,
  isGraceful = false,
): Promise<void> {
  await world.joined('fault');
  world.inBackground('fault', world.disturb(kind, work, isGraceful));
}

const cutEveryMs = 60;

/** Several times: at a single moment there is seldom a transaction under way. */
export const cutAll = (world: World, times: number): Promise<void> =>
  inject(world, 'connections cut', async () => {
    for (let time = 0; time < times; time += 1) {
      await cutConnections(world.pool);
      await delay(cutEveryMs);
    }
  });

export const restartPostgres = (world: World, downMs: number): Promise<void> =>
  inject(world, 'PostgreSQL restarted', () => world.servers.restartPostgres(downMs));

export const killTemporal = (world: World, downMs: number): Promise<void> =>
  inject(world, 'Temporal killed', () => world.servers.restartTemporal(downMs));

export const killProcess = (world: World, index: number, downMs: number): Promise<void> =>
  inject(world, 'process killed', async () => {
    await world.processes.kill(index);
    await delay(downMs);
    world.processes.start(index);
  });

export const restartProcess = (world: World, index: number): Promise<void> =>
  inject(
    world,
    'process restarted',
    async () => {
      await world.processes.stop(index);
      world.processes.start(index);
    },
    true,
  );

export const pauseProcess = (world: World, index: number, ms: number): Promise<void> =>
  inject(world, 'process paused', () => world.processes.pause(index, ms));
