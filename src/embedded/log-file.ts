import { mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const MAX_LOG_BYTES = 10 * 1024 * 1024;

/** Opens a child's log for appending; rotates it to `<file>.1` above 10 MB. The caller closes the descriptor. */
export function openLogFile(file: string): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}

export function logSizeBytes(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** The last lines of a log after `fromByte`, so that an error shows only lines of this start. */
export function logTail(file: string, fromByte = 0, maxLines = 15): string {
  try {
    const bytes = readFileSync(file);
    const recent = bytes.subarray(fromByte <= bytes.length ? fromByte : 0).toString('utf8');
    return recent.trimEnd().split('\n').slice(-maxLines).join('\n');
  } catch {
    return '';
  }
}
