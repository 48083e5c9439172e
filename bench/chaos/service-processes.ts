import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Role } from '../../src/app.ts';
import { logTail } from '../../src/embedded/log-file.ts';
import type { Child } from '../../src/embedded/supervise.ts';
import { startService } from '../parts.ts';
import { isDisturbed, type Model } from './model.ts';

type ProductProcess = {
  role: Role;
  folder: string;
  /** Of the API, or of a worker's probes. */
  url: string;
  settings: Record<string, string>;
  child: Child | null;
  isListening: boolean;
  isReady: boolean;
  isPaused: boolean;
};

export type Processes = {
  count: number;
  /** APIs that run and are not paused. */
  apiUrls(): string[];
  kill(index: number): Promise<void>;
  /** SIGTERM, and its end. */
  stop(index: number): Promise<void>;
  /** Starts it where it does not run. `settings` are added to those that it had. */
  start(index: number, settings?: Record<string, string>): void;
  /** SIGSTOP for all, until the function that it returns is called. */
  freeze(): () => void;
  /** SIGSTOP, and SIGCONT later. */
  pause(index: number, milliseconds: number): Promise<void>;
  untilReady(): Promise<void>;
  /** Waits until each one responds, ready or not. */
  untilListening(): Promise<void>;
  /** Every line that the processes wrote. */
  logLines(): string[];
  killAll(): Promise<void>;
};

export type Start = { role: Role; folder: string; port: number; settings: Record<string, string> };

const stopGraceMs = 40_000;
const readyMs = 60_000;
const linesShown = 25;

/** The product's processes on the shared servers. One that ends by itself is a fault. */
export function createProcesses(starts: readonly Start[], model: Model): Processes {
  const all: ProductProcess[] = starts.map(({ role, folder, port, settings }) => ({
    role,
    folder,
    url: `http://127.0.0.1:${port}`,
    settings: { ...settings, [role === 'worker' ? 'FLTR_WORKER_PORT' : 'PORT']: String(port) },
    child: null,
    isListening: false,
    isReady: false,
    isPaused: false,
  }));
  const processAt = (index: number): ProductProcess => {
    const found = all[index % all.length];
    if (!found) throw new Error('There is no process');
    return found;
  };
  const logOf = ({ folder, role }: ProductProcess) => join(folder, `${role}.log`);
  const end = async (ending: ProductProcess, how: (child: Child) => Promise<void> | void): Promise<void> => {
    const { child } = ending;
    if (!child) return;
    ending.child = null;
    await how(child);
    await child.exited;
  };
  const start = (starting: ProductProcess): void => {
    if (starting.child) return;
    const child = startService(starting.role, starting.folder, starting.settings);
    starting.child = child;
    starting.isListening = false;
    starting.isReady = false;
    void watchReady(starting, child);
    void watchEnd(starting, child, Date.now());
  };
  const watchEnd = async (ended: ProductProcess, child: Child, startedAt: number): Promise<void> => {
    const { code, signal } = await child.exited;
    if (ended.child !== child) return;
    ended.child = null;
    // Without a database no process can start; a supervisor starts it again.
    if (!ended.isReady && isDisturbed(model.disturbances, startedAt, Date.now())) {
      start(ended);
      return;
    }
    const how = `${signal ?? `code ${code}`}, ${Date.now() - startedAt} ms after its start`;
    model.faults.push(
      `A process (${ended.role}) ended by itself: ${how}\n${logTail(logOf(ended), 0, linesShown)}`,
    );
  };
  const untilAll = async (isSo: (each: ProductProcess) => boolean): Promise<void> => {
    const deadline = Date.now() + readyMs;
    while (!all.every(isSo) && model.faults.length === 0) {
      if (Date.now() > deadline) model.faults.push(`A process was not ready within ${readyMs / 1000} s`);
      await delay(50);
    }
  };

  return {
    count: all.length,
    apiUrls: () =>
      all.flatMap(({ role, url, child, isPaused }) => (role !== 'worker' && child && !isPaused ? [url] : [])),
    kill: (index) => end(processAt(index), (child) => child.kill()),
    stop: (index) => end(processAt(index), (child) => child.stop(stopGraceMs)),
    start(index, settings = {}) {
      const starting = processAt(index);
      Object.assign(starting.settings, settings);
      start(starting);
    },
    freeze() {
      const children = all.flatMap(({ child, isPaused }) => (child && !isPaused ? [child] : []));
      const signal = (name: NodeJS.Signals) => {
        for (const child of children) if (all.some((each) => each.child === child)) send(child, name);
      };
      signal('SIGSTOP');
      return () => signal('SIGCONT');
    },
    async pause(index, milliseconds) {
      const paused = processAt(index);
      const { child } = paused;
      if (!child || paused.isPaused) return;
      paused.isPaused = true;
      send(child, 'SIGSTOP');
      await delay(milliseconds);
      // It may have been killed meanwhile.
      if (paused.child === child) send(child, 'SIGCONT');
      paused.isPaused = false;
    },
    untilReady: () => untilAll(({ child, isReady }) => child !== null && isReady),
    untilListening: () => untilAll(({ child, isListening }) => child !== null && isListening),
    logLines: () => all.flatMap((each) => readFileSync(logOf(each), 'utf8').split('\n')),
    async killAll() {
      await Promise.all(all.map((each) => end(each, (child) => child.kill())));
    },
  };
}

function send({ pid }: Child, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended at this moment.
  }
}

async function watchReady(starting: ProductProcess, child: Child): Promise<void> {
  const isOk = (path: string) =>
    fetch(starting.url + path, { signal: AbortSignal.timeout(2000) }).then(
      ({ ok }) => ok,
      () => false,
    );
  while (starting.child === child && !starting.isReady) {
    starting.isListening = starting.isListening || (await isOk('/healthz'));
    const isReady = starting.isListening && (await isOk('/readyz'));
    if (starting.child !== child) return;
    starting.isReady = isReady;
    if (!isReady) await delay(100);
  }
}
