import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProduct } from './bench.ts';
import { figuresOf, isDelivered, runLoad } from './measured-load.ts';
import type { Mode } from './mode.ts';

/** A burst to the service with its embedded servers, as `npm start` runs it: all is delivered, and nothing times out. */
export const embedded: Mode['run'] = async (bench) => {
  const product = await startProduct(bench, null);
  const outcome = await runLoad(bench, product, {
    name: `${bench.events} at once in batches of 500`,
    events: bench.events,
    batch: 500,
    pace: { callers: 10 },
    isByServiceKey: true,
  });
  const { rows } = await product.pool.query<{ version: string; failed: number }>(
    `select current_setting('server_version') as version,
       (select count(*)::int from attempts where outcome <> 'delivered') as failed`,
  );
  const lastAt = Math.max(...outcome.fates.filter(isDelivered).map(({ deliveredAt }) => deliveredAt));
  return {
    parts: [figuresOf(outcome)],
    more: {
      secondsToLastArrival: Number.isFinite(lastAt) ? (lastAt - outcome.load.startedAt) / 1000 : null,
      failedAttempts: rows[0]?.failed ?? null,
      warnings: countWarnings(join(bench.dataDir, 'up.log')),
    },
    versions: { PostgreSQL: rows[0]?.version ?? '', Temporal: 'development server' },
  };
};

/** Log lines of level warn and above. */
function countWarnings(logFile: string): number {
  if (!existsSync(logFile)) return 0;
  return readFileSync(logFile, 'utf8')
    .split('\n')
    .filter((line) => /^\{"level":(?:40|50|60)|"level":"(?:warn|error|fatal)"/.test(line)).length;
}
