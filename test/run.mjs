import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Everything that must hold, one after the other; a check that fails does not keep the others from running.
const root = join(import.meta.dirname, '..');
const bin = (name) => join(root, 'node_modules/.bin', name);
/** @type {[string, string, string[]][]} */
const checks = [
  ['types', bin('tsc'), ['-p', 'tsconfig.json']],
  ['types of the dashboard', bin('tsc'), ['-p', 'src/dashboard/tsconfig.json']],
  [
    'lint',
    bin('oxlint'),
    ['--type-aware', '--deny-warnings', 'src', 'workflows', 'activities', 'test', 'bench', 'examples'],
  ],
  ['format', bin('prettier'), ['--check', '--log-level', 'warn', '.']],
  ['unused code', bin('knip'), []],
  ['build', 'npm', ['run', '--silent', 'build']],
  ['Temporal', process.execPath, ['dist/bench/temporal-server-programs.js']],
];
const folder = mkdtempSync(join(tmpdir(), 'fltr-run-'));
const countsPath = join(folder, 'counts.json');
const run = (command, args, env = {}) =>
  spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0;

const failed = [];
for (const [name, command, args] of checks) {
  const isPassed = run(command, args);
  console.log(`${isPassed ? 'ok    ' : 'FAILED'} ${name}`);
  if (!isPassed) failed.push(name);
}
const isTested = run(bin('vitest'), ['run', '--config', 'test/vitest.config.ts', ...process.argv.slice(2)], {
  FLTR_TEST_COUNTS: countsPath,
});
let counts = { passed: 0, failed: 1, skipped: 0 };
try {
  counts = JSON.parse(readFileSync(countsPath, 'utf8'));
} catch {
  console.log('The tests left no counts.');
}
rmSync(folder, { recursive: true, force: true });
const passedCount = counts.passed + checks.length - failed.length;
// A run that failed without a failed test, such as by an error outside of any, counts as one.
const failedCount = Math.max(counts.failed, isTested ? 0 : 1) + failed.length;
if (failed.length > 0) console.log(`Failed checks: ${failed.join(', ')}`);
console.log(`${passedCount} passed, ${failedCount} failed`);
process.exit(failedCount === 0 ? 0 : 1);
