import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** Reads a small JSON file; undefined if it is missing or invalid. */
export function readStateFile(file: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Writes it atomically, with mode 0600. */
export function writeStateFile(file: string, state: Record<string, unknown>): void {
  const draft = `${file}.${process.pid}.new`;
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}
