import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { choosePort } from '../embedded/free-port.ts';

export type DemoService = {
  apiUrl: string;
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Stops the service and removes its folder. A second call stops it immediately. */
  stop(): Promise<void>;
};

type Options = {
  /** The file of the command `fltr-webhooks`. */
  mainPath: string;
  settings: Record<string, string>;
  signal: AbortSignal;
  /** Called with each progress line of the start. */
  onProgress: (line: string) => void;
};

const startTimeoutMs = 40 * 60_000;
const callTimeoutMs = 20_000;
const stopTimeoutMs = 60_000;
/** Not inherited: the demo uses its own folder, ports and servers. Its requests have the headers of the real ones. */
const settingNames =
  /^(FLTR_(?!HEADER_PREFIX$|USER_AGENT$|SIGNATURES$)|TEMPORAL_|DATABASE_URL|PORT$|HOST$|LOG_LEVEL$)/;

/** Runs the service as a separate process in a temporary folder. Returns before it is `ready`. */
export async function spawnDemoService(
  options: Options,
): Promise<{ service: DemoService; ready: Promise<void> }> {
  const { mainPath, settings, signal, onProgress } = options;
  const dataDir = await mkdtemp(join(tmpdir(), 'fltr-demo-'));
  const port = await choosePort('127.0.0.1', []);
  const key = `demo_${randomBytes(24).toString('base64url')}`;
  const inherited = Object.entries(process.env).filter(([name]) => !settingNames.test(name));
  const child = spawn(process.execPath, [mainPath, 'up'], {
    env: {
      ...Object.fromEntries(inherited),
      ...settings,
      PORT: String(port),
      HOST: '127.0.0.1',
      FLTR_DATA_DIR: dataDir,
      FLTR_DEV_KEY: key,
      // It delivers 21 times.
      FLTR_PROCESSES: '1',
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Own process group: Ctrl-C reaches only the demo, which then stops the service.
    detached: true,
  });
  let output: string[] = [];
  let isStopping = false;
  child.on('error', (error) => (output = [error.message]));
  createInterface({ input: child.stderr }).on('line', (line) => {
    output = [...output, line].slice(-30);
    if (!isStopping) onProgress(line);
  });
  createInterface({ input: child.stdout }).on('line', (line) => (output = [...output, line].slice(-30)));
  const isRunning = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const end = () => void child.kill('SIGTERM');
  process.once('exit', end);

  const apiUrl = `http://127.0.0.1:${port}`;
  const call: DemoService['call'] = async <T>(method: string, path: string, body?: unknown) => {
    const response = await fetch(apiUrl + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(callTimeoutMs)]),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} returned ${response.status}: ${text}`);
    return JSON.parse(text) as T;
  };

  const untilReady = async (): Promise<void> => {
    const deadline = Date.now() + startTimeoutMs;
    for (;;) {
      if (!isRunning()) throw new Error(`The service did not start:\n${output.join('\n')}`);
      const isReady = await call('GET', '/v1/event-types').then(
        () => true,
        () => false,
      );
      if (isReady) return;
      if (Date.now() > deadline) throw new Error('The service was not ready in 40 minutes');
      await delay(250, undefined, { signal });
    }
  };

  const stop = async (): Promise<void> => {
    isStopping = true;
    if (isRunning()) {
      const exited = once(child, 'exit');
      end();
      const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      await exited;
      clearTimeout(timer);
    }
    process.removeListener('exit', end);
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  return { service: { apiUrl, call, stop }, ready: untilReady() };
}
