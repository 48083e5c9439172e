import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { openLogFile } from './log-file.ts';

export type ChildExit = { code: number | null; signal: NodeJS.Signals | null };

export type Child = {
  pid: number;
  exited: Promise<ChildExit>;
  /** Sends the stop signal, and SIGKILL after `graceMs` (15 s). */
  stop(graceMs?: number): Promise<void>;
  kill(): void;
};

export const STOP_GRACE_MS = 15_000;

type StartChildOptions = {
  command: string;
  args: string[];
  cwd?: string;
  env: NodeJS.ProcessEnv;
  runAs?: { uid: number; gid: number } | undefined;
  logFile: string;
  name: string;
  stopSignal: 'SIGINT' | 'SIGTERM';
};

/**
 * The shell becomes the program by `exec`, so pid, exit code and signals are the program's own. Before that, it starts a
 * watcher in the same process group, which reads a pipe that only this process holds open: however this process ends, the
 * pipe closes and the watcher stops the program. While the watcher runs, the group's id, which is the program's pid, cannot
 * be reused, so no signal can hit another process. The watcher is forked twice, so that the program does not get a child
 * that it did not start.
 */
const SCRIPT = `
signal=$1; shift
exec 3<&0 0</dev/null
( (
  trap '' HUP INT QUIT TERM
  PATH=$PATH:/usr/bin:/bin
  read -r _ <&3
  kill -s "$signal" $$
  n=0
  while [ $n -lt 50 ] && kill -s 0 $$; do sleep 0.2; n=$((n+1)); done
  kill -s KILL -- -$$
) >/dev/null 2>&1 & )
exec "$@" 3<&-
`;

/**
 * Starts a program that does not get the terminal's Ctrl-C and never outlives this process, even on `kill -9`. If it ignores
 * the watcher's stop signal, it is killed after 10 seconds. stdout and stderr go to `logFile`.
 */
export function startChild(options: StartChildOptions): Child {
  const { command, args, name, stopSignal } = options;
  const onWindows = process.platform === 'win32';
  const log = openLogFile(options.logFile);
  const child = spawn(
    onWindows ? command : '/bin/sh',
    onWindows ? args : ['-c', SCRIPT, name, stopSignal.slice(3), command, ...args],
    {
      // On Windows, libuv puts a child that is not detached into a job that ends with this process.
      detached: !onWindows,
      env: options.env,
      stdio: ['pipe', log, log],
      windowsHide: true,
      cwd: options.cwd,
      ...options.runAs,
    },
  );
  closeSync(log);
  // A failed spawn is detected by the missing pid below; nothing is written to the pipe.
  child.on('error', () => {});
  child.stdin?.on('error', () => {});
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name}: cannot start ${command}`);

  let running = true;
  const killGroup = (): void => {
    try {
      process.kill(onWindows ? pid : -pid, 'SIGKILL');
    } catch {
      // The group is empty.
    }
  };
  const exited = new Promise<ChildExit>((resolve) => {
    child.once('exit', (code, signal) => {
      running = false;
      killGroup();
      child.stdin?.destroy();
      resolve({ code, signal });
    });
  });

  return {
    pid,
    exited,
    async stop(graceMs = STOP_GRACE_MS) {
      if (!running) return;
      child.kill(stopSignal);
      const deadline = setTimeout(killGroup, graceMs);
      await exited;
      clearTimeout(deadline);
    },
    kill() {
      if (running) killGroup();
    },
  };
}
