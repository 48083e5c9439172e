import { proxyLocalActivities, proxySinks, type Sinks } from '@temporalio/workflow';

/** What the engine is measured by: as little as a workflow can do. `done` tells the process that started it. */
export type FloorSinks = Sinks & { floor: { done(): void } };
export type FloorActivities = { doNothing(): Promise<void> };

const { floor } = proxySinks<FloorSinks>();
const { doNothing } = proxyLocalActivities<FloorActivities>({ startToCloseTimeout: '10 seconds' });

export async function noop(): Promise<void> {
  await Promise.resolve();
  floor.done();
}

export async function activity(): Promise<void> {
  await doNothing();
  floor.done();
}
