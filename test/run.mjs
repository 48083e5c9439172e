import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

// Everything that must hold. A check that fails does not keep the others from running.
const root = join(import.meta.dirname, '..');
const bin = (name) => join(root, 'node_modules/.bin', name);
/** @type {[string, string, string[]][]} */
const staticChecks = [
  ['format', bin('prettier'), ['--check', '--log-level', 'warn', '.']],
  ['types', bin('tsc'), ['-p', 'tsconfig.json']],
  ['lint', 'npm', ['run', '--silent', 'lint']],
  ['unused code', bin('knip'), []],
  ['types of the dashboard', bin('tsc'), ['-p', 'src/dashboard/tsconfig.json']],
];
// `npm run check`: what needs no server.
const isStatic = process.argv[2] === '--static';
/** @type {typeof staticChecks} */
const checks = isStatic ? staticChecks : [['build', 'npm', ['run', '--silent', 'build']], ...staticChecks];
const failed = [];
const report = (name, isPassed) => {
  console.log(`${isPassed ? 'ok    ' : 'FAILED'} ${name}`);
  if (!isPassed) failed.push(name);
};

/** One check; its output comes whole. */
function check([name, command, args]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', (error) => (output += `${error.message}\n`));
    child.on('close', (code) => {
      process.stdout.write(output);
      report(name, code === 0);
      resolve();
    });
  });
}

const queue = [...checks];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await check(next);
  }),
);

if (isStatic) process.exit(failed.length === 0 ? 0 : 1);
const run = (command, args, env = {}) =>
  spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0;
report('Temporal', run(process.execPath, ['dist/bench/temporal-server-programs.js']));

const folder = mkdtempSync(join(tmpdir(), 'fltr-run-'));
const countsPath = join(folder, 'counts.json');
const isTested = run(bin('vitest'), ['run', '--config', 'test/vitest.config.ts', ...process.argv.slice(2)], {
  FLTR_TEST_COUNTS: countsPath,
  // The service is started many times, and compiled once.
  NODE_COMPILE_CACHE: join(folder, 'compiled'),
  ...(failed.includes('build') ? {} : { FLTR_TEST_IS_BUILT: '1' }),
});
let counts = { passed: 0, failed: 1, skipped: 0 };
try {
  counts = JSON.parse(readFileSync(countsPath, 'utf8'));
} catch {
  console.log('The tests left no counts.');
}
rmSync(folder, { recursive: true, force: true });
const passedCount = counts.passed + checks.length + 1 - failed.length;
// A run that failed without a failed test, such as by an error outside of any, counts as one.
const failedCount = Math.max(counts.failed, isTested ? 0 : 1) + failed.length;
if (failed.length > 0) console.log(`Failed checks: ${failed.join(', ')}`);
console.log(`${passedCount} passed, ${failedCount} failed`);
process.exit(failedCount === 0 ? 0 : 1);
