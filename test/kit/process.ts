import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.ts';

export type ServiceProcess = {
  pid: number;
  /** All that it wrote, both streams. */
  output(): string;
  isRunning(): boolean;
  kill(signal: NodeJS.Signals): void;
  /** Waits for its end; kills it when that takes longer. */
  exited(timeoutMs?: number): Promise<number | null>;
};

/** The environment that finds programs, the copy of Temporal in the user's cache folder, and compiled code. */
export function inherited(): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'XDG_CACHE_HOME', 'NODE_COMPILE_CACHE'];
  return Object.fromEntries(
    names.flatMap((name) => (name in process.env ? [[name, process.env[name]]] : [])),
  );
}

/** `fltr-webhooks <command>` as a process of its own, as users start it; several with `FLTR_PROCESSES`. */
export function startProcess(command: string[], env: Record<string, string>): ServiceProcess {
  const child: ChildProcess = spawn(process.execPath, [join(packageRoot, 'dist/src/main.js'), ...command], {
    env: { ...inherited(), FLTR_PROCESSES: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid ?? 0,
    output: () => output,
    isRunning,
    kill: (signal) => void child.kill(signal),
    async exited(timeoutMs = 120_000) {
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      if (isRunning()) await once(child, 'exit');
      clearTimeout(timer);
      return child.exitCode;
    },
  };
}

/** The processes of the service that this one runs, where it runs several. */
export function childrenOf({ pid }: ServiceProcess): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, child = '', parent = ''] = /^ *(\d+) +(\d+) .*main\.js up/.exec(line) ?? [];
    return Number(parent) === pid ? [Number(child)] : [];
  });
}
