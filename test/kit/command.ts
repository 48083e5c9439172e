import { format } from 'node:util';
import { runCommand } from '../../src/main.ts';
import { inherited } from './process.ts';

/**
 * `fltr-webhooks <command>` within this process: its exit code, and all that it wrote, both streams. For commands that end,
 * one at a time; a process of its own, by `startProcess`, takes ten times as long.
 */
export async function runInProcess(
  command: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; output: string }> {
  let output = '';
  const write = (text: string | Uint8Array): boolean => {
    output += String(text);
    return true;
  };
  const log = (...values: unknown[]): void => void write(`${format(...values)}\n`);
  const before = { env: process.env, log: console.log, error: console.error };
  const { stdout, stderr } = process;
  const writers = { stdout: stdout.write, stderr: stderr.write };
  process.env = { ...inherited(), ...env };
  Object.assign(console, { log, error: log });
  Object.assign(stdout, { write });
  Object.assign(stderr, { write });
  try {
    const code = (await runCommand(command)) ?? Number(process.exitCode ?? 0);
    return { code, output };
  } finally {
    process.exitCode = undefined;
    process.env = before.env;
    Object.assign(console, { log: before.log, error: before.error });
    Object.assign(stdout, { write: writers.stdout });
    Object.assign(stderr, { write: writers.stderr });
  }
}
