import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { Client } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type InjectedSinks,
} from '@temporalio/worker';
import { packageRoot } from '../src/package-root.ts';
import { bundleOptions, withoutStackTraces } from '../src/temporal/bundle-workflows.ts';
import { workerTuning } from '../src/temporal/worker-tuning.ts';
import { nowMs } from './clock.ts';
import type { BaselineActivities, BaselineSinks } from './baseline-workflows.ts';
import { serveCalls } from './remote.ts';

/**
 * The engine alone, a process of its own: client and worker on one connection, eager starts, local activities, the
 * product's worker options. The service's rate is compared with this one.
 */
type Target = { address: string; namespace: string };
type BaselineWorkflow = 'noop' | 'activity';
/** As many at a time as a burst has callers. */
const inFlight = 32;
const taskQueue = 'fltr-bench-baseline';
const warmUpMs = 2000;

type Engine = {
  /** Starts one and waits until it is done. `msToActivity`: from just before the start until the activity ran. */
  run(workflow: BaselineWorkflow): Promise<{ id: string; msToActivity: number }>;
  /** Waits until the server has recorded its end. */
  untilClosed(id: string): Promise<void>;
  close(): Promise<void>;
};

let bundle: Promise<{ code: string }> | null = null;
let lastNumber = 0;

async function startEngine({ address, namespace }: Target): Promise<Engine> {
  bundle ??= bundleWorkflowCode(bundleOptions(join(packageRoot, 'dist/bench/baseline-workflows.js')));
  const connection = await NativeConnection.connect({ address });
  const doneWaiters = new Map<string, () => void>();
  const activityAt = new Map<string, number>();
  const activities: BaselineActivities = {
    async doNothing() {
      activityAt.set(Context.current().info.workflowExecution?.workflowId ?? '', nowMs());
      await Promise.resolve();
    },
  };
  const sinks: InjectedSinks<BaselineSinks> = {
    baseline: { done: { fn: ({ workflowId }) => doneWaiters.get(workflowId)?.() } },
  };
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    workflowBundle: { code: withoutStackTraces((await bundle).code) },
    activities,
    sinks,
    ...workerTuning,
  });
  const running = worker.run();
  const client = new Client({ connection, namespace });
  return {
    async run(workflow) {
      const id = `baseline-${process.pid}-${(lastNumber += 1)}`;
      const done = new Promise<void>((resolve) => {
        doneWaiters.set(id, resolve);
      });
      const startedAt = nowMs();
      await client.workflow.start(workflow, { taskQueue, workflowId: id, requestEagerStart: true });
      await done;
      doneWaiters.delete(id);
      const msToActivity = (activityAt.get(id) ?? NaN) - startedAt;
      activityAt.delete(id);
      return { id, msToActivity };
    },
    untilClosed: (id) => client.workflow.getHandle(id).result(),
    async close() {
      worker.shutdown();
      await running;
      await connection.close();
    },
  };
}

type Rate = { count: number; perSecond: number };

/** So many at a time, until the time is over and the last of them is closed. */
async function runFor(engine: Engine, workflow: BaselineWorkflow, ms: number): Promise<Rate> {
  const startedAt = nowMs();
  let count = 0;
  const runner = async (): Promise<string> => {
    for (;;) {
      const { id } = await engine.run(workflow);
      count += 1;
      if (nowMs() - startedAt > ms) return id;
    }
  };
  const last = await Promise.all(Array.from({ length: inFlight }, runner));
  await Promise.all(last.map((id) => engine.untilClosed(id)));
  return { count, perSecond: count / ((nowMs() - startedAt) / 1000) };
}

let opened: Engine | null = null;

const calls = {
  /** Starts the engine for `rate`, and warms it up. */
  async open({ target }: { target: Target }): Promise<void> {
    opened = await startEngine(target);
    await runFor(opened, 'activity', warmUpMs);
  },
  /** At saturation. */
  rate({ workflow, seconds }: { workflow: BaselineWorkflow; seconds: number }): Promise<Rate> {
    if (!opened) throw new Error('The engine is not open');
    return runFor(opened, workflow, seconds * 1000);
  },
  async close(): Promise<void> {
    await opened?.close();
    opened = null;
  },
  /** Ms from just before the start call until the activity runs, at a steady rate; each one's, in order. */
  async latencies(input: { target: Target; perSecond: number; seconds: number }): Promise<Float64Array> {
    const { target, perSecond, seconds } = input;
    const engine = await startEngine(target);
    try {
      await runFor(engine, 'activity', warmUpMs);
      const startedAt = nowMs();
      const underWay: Promise<{ msToActivity: number }>[] = [];
      for (let number = 0; number < perSecond * seconds; number += 1) {
        await delay(Math.max(0, startedAt + (number * 1000) / perSecond - nowMs()));
        underWay.push(engine.run('activity'));
      }
      return Float64Array.from((await Promise.all(underWay)).map(({ msToActivity }) => msToActivity));
    } finally {
      await engine.close();
    }
  },
};
export type BaselineCalls = typeof calls;

if (process.argv[1] === import.meta.filename) {
  const toStderr = ({ level, message }: { level: string; message: string }): void =>
    void process.stderr.write(`baseline: ${level} ${message}\n`);
  Runtime.install({ shutdownSignals: [], logger: new DefaultLogger('WARN', toStderr) });
  serveCalls(calls);
}
