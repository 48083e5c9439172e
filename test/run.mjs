import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

// Everything that must hold. A check that fails does not keep the others from running.
const root = join(import.meta.dirname, '..');
const bin = (name) => join(root, 'node_modules/.bin', name);
/** Keeps its results: the next check looks at changed files only. */
const typesOf = (project, cache) => {
  const file = `node_modules/.cache/${cache}.tsbuildinfo`;
  return ['-p', project, '--incremental', '--tsBuildInfoFile', file];
};
/** @type {[string, string, string[]][]} */
const staticChecks = [
  [
    'format',
    bin('prettier'),
    ['--check', '--cache', '--cache-strategy', 'content', '--log-level', 'warn', '.'],
  ],
  ['types', bin('tsc'), typesOf('tsconfig.json', 'types')],
  ['lint', 'npm', ['run', '--silent', 'lint']],
  ['unused code', bin('knip'), []],
  ['types of the dashboard', bin('tsc'), typesOf('src/dashboard/tsconfig.json', 'types-dashboard')],
];
// `npm run check`: the checks that need no server.
const isStatic = process.argv[2] === '--static';
/** @type {typeof staticChecks[number]} */
const build = ['build', 'npm', ['run', '--silent', 'build']];
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

const queue = [...staticChecks];
/** One after the other, those that nobody else has begun. */
async function runQueue() {
  for (let next = queue.shift(); next; next = queue.shift()) await check(next);
}

if (isStatic) {
  await Promise.all(Array.from({ length: availableParallelism() }, runQueue));
  process.exit(failed.length === 0 ? 0 : 1);
}

const run = (command, args, env = {}) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });
const folder = mkdtempSync(join(tmpdir(), 'fltr-run-'));
const countsPath = join(folder, 'counts.json');

async function test() {
  await check(build);
  report('Temporal', await run(process.execPath, ['dist/bench/temporal-server-programs.js']));
  return run(bin('vitest'), ['run', '--config', 'test/vitest.config.ts', ...process.argv.slice(2)], {
    FLTR_TEST_COUNTS: countsPath,
    // The service is started many times, and compiled once.
    NODE_COMPILE_CACHE: join(folder, 'compiled'),
    ...(failed.includes(build[0]) ? {} : { FLTR_TEST_IS_BUILT: '1' }),
  });
}

// The checks fill the time in which the first tests wait.
const [isTested] = await Promise.all([test(), runQueue()]);
let counts = { passed: 0, failed: 1, skipped: 0 };
try {
  counts = JSON.parse(readFileSync(countsPath, 'utf8'));
} catch {
  console.log('The tests left no counts.');
}
rmSync(folder, { recursive: true, force: true });
// Beside the static checks: the build, and Temporal.
const passedCount = counts.passed + staticChecks.length + 2 - failed.length;
// A run that failed without a failed test, such as by an error outside of any, counts as one.
const failedCount = Math.max(counts.failed, isTested ? 0 : 1) + failed.length;
if (failed.length > 0) console.log(`Failed checks: ${failed.join(', ')}`);
console.log(`${passedCount} passed, ${failedCount} failed`);
process.exit(failedCount === 0 ? 0 : 1);
