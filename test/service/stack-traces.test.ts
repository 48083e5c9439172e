import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { packageRoot } from '../../src/package-root.ts';
import { readWorkflowBundle } from '../../src/temporal/bundle-workflows.ts';
import type { Temporal } from '../../src/temporal/client.ts';
import { createNamespace } from '../kit/namespace.ts';

let temporal: Temporal;
beforeAll(async () => {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: 'OFF' } },
    shutdownSignals: [],
  });
  temporal = await createNamespace();
});
afterAll(() => temporal.connection.close());

/** The stack with which a delivery's workflow fails that was started without its input. */
async function stackOfFault(hasStackTraces: boolean): Promise<string> {
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const taskQueue = randomUUID();
  const worker = await Worker.create({
    connection,
    namespace: temporal.namespace,
    taskQueue,
    workflowBundle: await readWorkflowBundle(hasStackTraces),
  });
  return worker.runUntil(async () => {
    const handle = await temporal.client.workflow.start('deliverEvent', {
      taskQueue,
      workflowId: randomUUID(),
    });
    const fault = async () => {
      const { events } = await handle.fetchHistory();
      return events?.find(({ workflowTaskFailedEventAttributes: failed }) => failed)
        ?.workflowTaskFailedEventAttributes?.failure;
    };
    await expect.poll(fault).toBeTruthy();
    await handle.terminate();
    return (await fault())?.stackTrace ?? '';
  });
}

test('a stack inside a workflow names the source and its line', async () => {
  expect(await stackOfFault(true)).toMatch(/at deliverEvent .*workflows\/deliver-event\.ts:\d+:\d+/);
});

test('workflows leave out stacks where that is wanted', async () => {
  expect(await stackOfFault(false)).not.toContain('deliver-event');
});

test('a stack of the service names the source and its line', () => {
  const script = `import('./dist/src/config.js').then(({ readConfig }) => readConfig({ PORT: 'x' })).catch(({ stack }) => console.log(stack))`;
  const stack = execFileSync(process.execPath, ['--enable-source-maps', '-e', script], {
    cwd: packageRoot,
    encoding: 'utf8',
  });
  expect(stack).toMatch(/readConfig \(.*\/src\/config\.ts:\d+:\d+\)/);
});
