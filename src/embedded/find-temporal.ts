import { homedir } from 'node:os';
import { join } from 'node:path';
import { standardSources } from './temporal-sources.ts';
import type { SourceOptions, TemporalSource, TemporalSourceKind } from './temporal-sources.ts';

/** `sources` replaces the standard ones. */
type FindTemporalOptions = SourceOptions & { sources?: TemporalSource[] };

/** The user's cache folder for this service, shared by all checkouts. */
export function userCacheDir(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const home = env['HOME'] || homedir();
  const base =
    platform === 'win32'
      ? (env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'))
      : env['XDG_CACHE_HOME'] ||
        (platform === 'darwin' ? join(home, 'Library', 'Caches') : join(home, '.cache'));
  return join(base, 'fltr-webhooks');
}

/** Tries the sources in order and reports each failure in one line. The final error lists all of them. */
export async function findTemporal(
  options: FindTemporalOptions,
): Promise<{ path: string; kind: TemporalSourceKind }> {
  const { report } = options;
  const reasons = ['1. TEMPORAL_ADDRESS: not set'];
  for (const source of options.sources ?? standardSources(options)) {
    try {
      return { path: await source.find(), kind: source.kind };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const line = reason.split('\n')[0] ?? '';
      report(`Temporal: ${source.name}: ${line}`);
      reasons.push(`${reasons.length + 1}. ${source.name}: ${reason}`);
    }
  }
  throw new Error(
    `No Temporal server was found:\n${reasons.join('\n')}\n` +
      'Set TEMPORAL_ADDRESS to a running server, or install the Temporal CLI (https://docs.temporal.io/cli).',
  );
}
