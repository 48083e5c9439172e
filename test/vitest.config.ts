import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { LongestFirst } from './kit/longest-first.ts';

const cores = availableParallelism();

type Options = { env?: Record<string, string>; exclude?: string[]; isolate?: boolean };

/** A project whose files share one PostgreSQL and one Temporal. */
const withServers = (
  name: string,
  include: string[],
  { env = {}, exclude = [], isolate = false }: Options = {},
): TestProjectInlineConfiguration => ({
  extends: true,
  test: {
    name,
    include,
    env,
    globalSetup: ['test/kit/global-setup.ts'],
    sequence: { groupOrder: 1 },
    exclude,
    // Importing the service takes longer than most tests.
    isolate,
    // Such a test waits for half of its time: for a timer, a retry, a process that starts. PostgreSQL has 200 connections.
    maxWorkers: Math.min(cores + 1, 6),
  },
});

/** Files that install the Temporal SDK's runtime, which a process does once: each needs a process of its own. */
const ownRuntime = ['histories', 'stack-traces'].map((name) => `test/service/${name}.test.ts`);

const projects: TestProjectInlineConfiguration[] = [
  {
    extends: true,
    test: { name: 'unit', include: ['test/unit/*.test.ts'], maxWorkers: cores, isolate: false },
  },
  withServers('service', ['test/service/*.test.ts'], { exclude: ownRuntime }),
  withServers('runtime', ownRuntime, { isolate: true }),
  withServers('release', ['test/release/*.test.ts']),
  // Where no two deliveries share a workflow: tests that depend on the owner of a delivery.
  withServers(
    'ungrouped',
    ['backlog', 'crash', 'publish-together', 'reconcile'].map((name) => `test/service/${name}.test.ts`),
    { env: { FLTR_DELIVERIES_PER_WORKFLOW: '1' } },
  ),
];

export default defineConfig({
  root: join(import.meta.dirname, '..'),
  test: {
    projects:
      process.env['FLTR_RECORD_HISTORIES'] === '1'
        ? [withServers('histories', ['test/histories.record.ts'])]
        : projects,
    sequence: { sequencer: LongestFirst },
    // Temporal's native module does not work in worker threads.
    pool: 'forks',
    // Limits for tests that never end: other work on the machine may make everything many times slower.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    reporters: ['default', './test/kit/count-reporter.ts'],
  },
});
