import { closeSync, openSync } from 'node:fs';

/** Whether a signal to hang up means that the terminal in which this process runs was closed. */
export function isTerminalClosed(): boolean {
  if (!process.stdin.isTTY) return false;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return false;
  } catch {
    return true;
  }
}
