import { proxyLocalActivities, proxySinks, type Sinks } from '@temporalio/workflow';

/** The least that a workflow can do. `done` notifies the process that started it. */
export type BaselineSinks = Sinks & { baseline: { done(): void } };
export type BaselineActivities = { doNothing(): Promise<void> };

const { baseline } = proxySinks<BaselineSinks>();
const { doNothing } = proxyLocalActivities<BaselineActivities>({ startToCloseTimeout: '10 seconds' });

export async function noop(): Promise<void> {
  await Promise.resolve();
  baseline.done();
}

export async function activity(): Promise<void> {
  await doNothing();
  baseline.done();
}
