import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { startProduct, type Product } from './bench.ts';
import { fillLog } from './log-fill.ts';
import { takeMemory } from './measure.ts';
import type { OnServers } from './mode.ts';
import { noFigures, type More } from './report.ts';

const sampleMs = 200;
/** Where a slow reader stops, and for how long. The rest must not pile up in the memory of the service meanwhile. */
const pauseEveryBytes = 64 * 1024 * 1024;
const pauseMs = 2000;

/** Exports of a long log as NDJSON: rows a second, and by how much the memory of the service grows; counting it. */
export const exportLog: OnServers = async (bench, servers) => {
  const { rows, report } = bench;
  const product = await startProduct(bench, servers, { role: 'api', database: 'export' });
  report(`Inserting ${rows} deliveries …`);
  const { key } = await fillLog(product.pool, rows);
  const more: More = {};
  for (const [name, path, isSlow] of [
    // Not counted: it compiles, and fills caches.
    ['warm-up', '/v1/deliveries?status=failed', false],
    ['deliveries', '/v1/deliveries', false],
    ['deliveriesToSlowReader', '/v1/deliveries', true],
    ['events', '/v1/events', false],
  ] as const) {
    const result = await measureExport(product, `${product.apiUrls[0] ?? ''}${path}`, key, isSlow);
    report(
      `${name}: from ${result.beforeMiB} MiB, ${result.rows} rows, ${result.perSecond}/s, memory + ${result.mostMiB} MiB at most`,
    );
    if (name === 'warm-up') continue;
    more[`${name}Rows`] = result.rows;
    more[`${name}RowsPerSecond`] = result.perSecond;
    more[`${name}MemoryGrowthMiB`] = result.mostMiB;
  }
  more['countOfBulkActionMs'] = await timeCount(product.apiUrls[0] ?? '', key);
  return { parts: [{ name: `${rows} deliveries`, ...noFigures }], more };
};

/** Milliseconds to count the deliveries of a bulk action on the whole log. */
async function timeCount(apiUrl: string, key: string): Promise<number> {
  const startedAt = performance.now();
  const { statusCode, body } = await request(`${apiUrl}/v1/deliveries/actions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ action: 'resend', filter: { since: '2024-01-01T00:00:00Z' }, dry_run: true }),
  });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`POST /v1/deliveries/actions: ${statusCode} ${text}`);
  return Math.round(performance.now() - startedAt);
}

async function measureExport({ parts }: Product, url: string, key: string, isSlow: boolean) {
  const memory = () => takeMemory({ node: parts['node'] ?? { pids: [], isTree: false } })['node'] ?? 0;
  const before = memory();
  let most = before;
  const sampling = setInterval(() => (most = Math.max(most, memory())), sampleMs);
  const startedAt = performance.now();
  const { statusCode, body } = await request(url, {
    headers: { authorization: `Bearer ${key}`, accept: 'application/x-ndjson' },
    bodyTimeout: 60_000,
  });
  if (statusCode !== 200) throw new Error(`GET ${url}: ${statusCode} ${await body.text()}`);
  let [rows, bytes] = [0, 0];
  for await (const chunk of body as AsyncIterable<Buffer>) {
    for (const byte of chunk) if (byte === 10) rows += 1;
    if (isSlow && Math.floor((bytes + chunk.length) / pauseEveryBytes) > Math.floor(bytes / pauseEveryBytes))
      await delay(pauseMs);
    bytes += chunk.length;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  clearInterval(sampling);
  return {
    rows,
    perSecond: Math.round(rows / seconds),
    beforeMiB: Math.round(before),
    mostMiB: Math.round(most - before),
  };
}
