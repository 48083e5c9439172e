import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** Leaves the counts of passed and failed tests where `test/run.mjs` reads them. */
// oxlint-disable-next-line import/no-default-export -- vitest loads a reporter by its default export
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const path = process.env['FLTR_TEST_COUNTS'];
    if (path === undefined) return;
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    // A file that does not load, or a failing beforeAll, leaves no failed test behind.
    const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
    const broken = suites.filter((suite) => suite.errors().length > 0).length;
    writeFileSync(
      path,
      JSON.stringify({
        passed: count('passed'),
        failed: count('failed') + broken,
        skipped: count('skipped'),
      }),
    );
  }
}
