import { execFile, type ExecFileException } from 'node:child_process';
import { statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { logSizeBytes, logTail } from './log-file.ts';
import { startChild } from './supervise.ts';

const PROGRESS_EVERY_MS = 30_000;
export const EXE = process.platform === 'win32' ? '.exe' : '';
const run = promisify(execFile);

/** Finds a program on PATH. */
export function which(program: string, env: NodeJS.ProcessEnv): string | undefined {
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders
    .map((folder) => join(folder, `${program}${EXE}`))
    .find((file) => {
      const stat = statSync(file, { throwIfNoEntry: false });
      return stat?.isFile() === true && (process.platform === 'win32' || (stat.mode & 0o111) !== 0);
    });
}

/** The variables that programs need to run: none of the service's, which contain secrets. */
export function minimalEnv(env: NodeJS.ProcessEnv, more: readonly string[] = []): NodeJS.ProcessEnv {
  const kept = ['PATH', 'TMPDIR', 'TEMP', 'TMP', 'SYSTEMROOT', 'SystemRoot', ...more];
  return Object.fromEntries(kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

/** Runs a short program. The error has the last line of its stderr, or that it was not found or timed out. */
export async function runBounded(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
  cwd?: string,
): Promise<{ stdout: string }> {
  try {
    return await run(command, args, { env, timeout: timeoutMs, killSignal: 'SIGKILL', cwd });
  } catch (error) {
    const { killed, stderr, message, code } = error as ExecFileException;
    const lines = String(stderr ?? '').trim();
    const lastLine = lines.split('\n').at(-1) || message.split('\n')[0];
    const known = code === 'ENOENT' ? 'not found' : lastLine;
    const reason = killed ? `timeout after ${timeoutMs / 1000} s` : known;
    throw new Error(`${[command, ...args].join(' ')}: ${reason}`, { cause: error });
  }
}

type LongStep = {
  name: string;
  command: string;
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  logFile: string;
  timeoutMs: number;
  onProgress(elapsedSeconds: number): void;
};

/** Runs a program for minutes; it ends with this process, even on `kill -9`. Throws with the end of the log if it fails. */
export async function runLongStep(step: LongStep): Promise<void> {
  const startedAt = Date.now();
  const logStart = logSizeBytes(step.logFile);
  const child = startChild({ ...step, stopSignal: 'SIGTERM' });
  let timedOut = false;
  const deadline = setTimeout(() => {
    timedOut = true;
    child.kill();
  }, step.timeoutMs);
  const progress = setInterval(
    () => step.onProgress(Math.round((Date.now() - startedAt) / 1000)),
    PROGRESS_EVERY_MS,
  );
  const { code, signal } = await child.exited;
  clearTimeout(deadline);
  clearInterval(progress);
  if (code === 0) return;
  const how = timedOut
    ? `timeout after ${step.timeoutMs / 60_000} minutes`
    : `failed (${signal ?? `code ${code}`})`;
  const tail = logTail(step.logFile, logStart);
  // Reports use the first line only; the log's last line is usually the reason.
  throw new Error(`${how}: ${tail.split('\n').at(-1)}\nThe end of ${step.logFile}:\n${tail}`);
}
