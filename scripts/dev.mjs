import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

// npm run dev: the service, compiled and started again at every change, and the dashboard with hot reload, until Ctrl-C. The
// embedded PostgreSQL and Temporal stay up meanwhile. Vite serves the pages and passes calls on to the service; a cookie counts
// for every port of a host, so a sign-in holds at both addresses.
const root = join(import.meta.dirname, '..');
const bin = (name) => join(root, 'node_modules/.bin', name);
const start = (command, args, { stdout = 'inherit', env = {} } = {}) =>
  spawn(command, args, {
    cwd: root,
    stdio: ['ignore', stdout, 'inherit'],
    env: { ...process.env, ...env },
  });
const isRunning = (child) => child?.exitCode === null && child.signalCode === null;
const say = (line) => console.log(`\u001B[36m[dev] ${line}\u001B[0m`);

async function stop(child, signal) {
  if (!isRunning(child)) return;
  child.kill(signal);
  await once(child, 'exit');
}

let servers;
let service;
let isStopping = false;

/** As `up` starts the servers for which no address is set. */
async function startServers() {
  const { DATABASE_URL, TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, FLTR_DATA_DIR } = process.env;
  const { startEmbedded } = await import('../dist/src/embedded/embedded.js');
  const { searchAttributes } = await import('../dist/workflows/contract.js');
  const { stop: stopServers, ...urls } = await startEmbedded({
    dataDir: resolve(root, FLTR_DATA_DIR ?? '.fltr'),
    env: process.env,
    needsPostgres: !DATABASE_URL,
    needsTemporal: !TEMPORAL_ADDRESS,
    namespace: TEMPORAL_NAMESPACE ?? 'default',
    searchAttributes,
    report: say,
    onFatal: (error) => {
      say(error.message);
      void stopAll(1);
    },
  });
  return {
    stop: stopServers,
    env: {
      ...(urls.databaseUrl && { DATABASE_URL: urls.databaseUrl }),
      ...(urls.temporalAddress && { TEMPORAL_ADDRESS: urls.temporalAddress }),
      ...(urls.temporalUiUrl && { TEMPORAL_UI_URL: urls.temporalUiUrl }),
    },
  };
}

async function restart() {
  const [code] = await once(start(process.execPath, ['dist/src/temporal/bundle-workflows.js']), 'exit');
  if (isStopping) return;
  if (code !== 0) return say('The workflows cannot be bundled. A change tries again.');
  servers ??= await startServers();
  if (isRunning(service)) say('Something changed: the service starts again.');
  await stop(service, 'SIGINT');
  if (isStopping) return;
  const started = start(process.execPath, ['--enable-source-maps', 'dist/src/main.js', 'up'], {
    // One process starts sooner, and is easier to debug.
    env: { FLTR_PROCESSES: process.env.FLTR_PROCESSES ?? '1', ...servers.env },
  });
  service = started;
  started.once('exit', (exitCode) => {
    if (!started.killed && !isStopping)
      say(`The service ended with code ${exitCode}. A change starts it again.`);
  });
}

const compiler = start(
  bin('tsc'),
  ['-p', 'tsconfig.build.json', '--watch', '--preserveWatchOutput', '--pretty'],
  { stdout: 'pipe' },
);
const vite = start(bin('vite'), ['--config', 'src/dashboard/vite.config.ts']);

let restarted = Promise.resolve();
let isWaiting = false;
compiler.stdout.setEncoding('utf8').on('data', (text) => {
  process.stdout.write(text);
  // It has written the compiled files, with or without errors.
  if (!/Watching for file changes/.test(text) || isWaiting) return;
  isWaiting = true;
  restarted = restarted
    .then(() => {
      isWaiting = false;
      return restart();
    })
    .catch((error) => {
      console.error(error);
      void stopAll(1);
    });
});

async function stopAll(code) {
  if (isStopping) return;
  isStopping = true;
  await Promise.all([stop(service, 'SIGINT'), stop(compiler, 'SIGTERM'), stop(vite, 'SIGTERM')]);
  await Promise.race([restarted, delay(10_000)]);
  await servers?.stop();
  process.exit(code);
}
process.on('SIGINT', () => void stopAll(0));
process.on('SIGTERM', () => void stopAll(0));
for (const child of [compiler, vite]) child.once('exit', () => void stopAll(1));
