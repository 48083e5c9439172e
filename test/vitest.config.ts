import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { LongestFirst } from './kit/longest-first.ts';

const cores = availableParallelism();

/** A project whose files share one PostgreSQL and one Temporal. */
const withServers = (
  name: string,
  include: string[],
  env: Record<string, string> = {},
): TestProjectInlineConfiguration => ({
  extends: true,
  test: {
    name,
    include,
    env,
    globalSetup: ['test/kit/global-setup.ts'],
    sequence: { groupOrder: 1 },
    // Importing the service takes longer than most tests.
    isolate: false,
    // Such a test waits for half of its time: for a timer, a retry, a process that starts. PostgreSQL has 200 connections.
    maxWorkers: Math.min(cores + 1, 6),
  },
});

const projects: TestProjectInlineConfiguration[] = [
  {
    extends: true,
    test: { name: 'unit', include: ['test/unit/*.test.ts'], maxWorkers: cores, isolate: false },
  },
  withServers('service', ['test/service/*.test.ts']),
  withServers('release', ['test/release/*.test.ts']),
  // Where no two deliveries share a workflow: what depends on who owns a delivery.
  withServers(
    'ungrouped',
    ['backlog', 'crash', 'publish-together', 'reconcile'].map((name) => `test/service/${name}.test.ts`),
    { FLTR_DELIVERIES_PER_WORKFLOW: '1' },
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
    // Limits against what never ends: other work on the machine may make everything many times slower.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    reporters: ['default', './test/kit/count-reporter.ts'],
  },
});
