import { homedir } from 'node:os';
import { join } from 'node:path';
import { standardWays } from './temporal-sources.ts';
import type { TemporalSource, Way, WayOptions } from './temporal-sources.ts';

/** `ways` stands in for the four standard ones. */
type FindTemporalOptions = WayOptions & { ways?: Way[] };

/** The user's cache folder for this service; several checkouts share what is kept there. */
export function userCacheDir(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const home = env['HOME'] || homedir();
  const base =
    platform === 'win32'
      ? (env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'))
      : env['XDG_CACHE_HOME'] ||
        (platform === 'darwin' ? join(home, 'Library', 'Caches') : join(home, '.cache'));
  return join(base, 'fltr-webhooks');
}

/** Goes through the ways in order; each one that fails leaves one line, and the error at the end names them all. */
export async function findTemporal(
  options: FindTemporalOptions,
): Promise<{ path: string; how: TemporalSource }> {
  const { report } = options;
  const reasons = ['1. TEMPORAL_ADDRESS: not set'];
  for (const way of options.ways ?? standardWays(options)) {
    try {
      return { path: await way.find(), how: way.how };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const line = reason.split('\n')[0] ?? '';
      report(`Temporal: ${way.name}: ${line}`);
      reasons.push(`${reasons.length + 1}. ${way.name}: ${reason}`);
    }
  }
  throw new Error(
    `No Temporal server was found, in none of these ways:\n${reasons.join('\n')}\n` +
      'Set TEMPORAL_ADDRESS to a running one, or install the Temporal CLI (https://docs.temporal.io/cli).',
  );
}
