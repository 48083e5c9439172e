import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** A small private JSON file. Missing or torn: undefined, so that the caller starts it afresh. */
export function readStateFile(file: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Written aside and renamed: a crash leaves the old content or the new one, never half of it. */
export function writeStateFile(file: string, state: Record<string, unknown>): void {
  const draft = `${file}.${process.pid}.new`;
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}
