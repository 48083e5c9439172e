import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import { maxBundleBytes, workflowBundlePath } from '../../src/temporal/bundle-workflows.ts';

// Temporal's own form of a history, as its server stores it; made by histories.record.ts.
const { History } = proto.temporal.api.history.v1;
const folder = join(import.meta.dirname, '../histories');

beforeAll(() => {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: 'OFF' } },
    shutdownSignals: [],
  });
});

const recorded = () => readdirSync(folder).filter((name) => name.endsWith('.binpb'));

async function replay(code: string): Promise<Record<string, string | null>> {
  const results: Record<string, string | null> = {};
  const histories = recorded().map((name) => ({
    workflowId: name,
    history: History.decode(readFileSync(join(folder, name))),
  }));
  for await (const { workflowId, error } of Worker.runReplayHistories(
    { workflowBundle: { code } },
    histories,
  )) {
    results[workflowId] = error?.name ?? null;
  }
  return results;
}

test('every recorded history replays with the workflows of today', async () => {
  expect(recorded().length).toBeGreaterThanOrEqual(8);
  const results = await replay(readFileSync(workflowBundlePath, 'utf8'));
  expect(results).toEqual(Object.fromEntries(recorded().map((name) => [name, null])));
});

test('the replay fails for a workflow that does not match a history', async () => {
  const code = readFileSync(workflowBundlePath, 'utf8');
  const changed = code.replaceAll(
    /\b(attemptDelivery|attemptGroup|cancelDelivery|runOperationPage|removeOldBatch|eraseAccount)\b/g,
    '$1Otherwise',
  );
  expect(changed).not.toBe(code);
  const results = await replay(changed);
  expect(new Set(Object.values(results))).toEqual(new Set(['DeterminismViolationError']));
  expect(Object.keys(results)).toHaveLength(recorded().length);
});

test('the bundle of the workflows stays small', () => {
  expect(statSync(workflowBundlePath).size).toBeLessThan(maxBundleBytes);
});
