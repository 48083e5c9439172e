import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: join(import.meta.dirname, '..'),
  test: {
    include: [
      process.env['FLTR_RECORD_HISTORIES'] === '1' ? 'test/histories.record.ts' : 'test/**/*.test.ts',
    ],
    globalSetup: ['test/kit/global-setup.ts'],
    // Temporal's native module does not bear worker threads.
    pool: 'forks',
    maxWorkers: 2,
    // Limits against what never ends: other work on the machine may make everything many times slower.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    reporters: ['default', './test/kit/count-reporter.ts'],
  },
});
