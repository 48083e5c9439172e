import { Pool as HttpPool } from 'undici';
import { startProduct } from './bench.ts';
import { fillLog, type FilledLog } from './log-fill.ts';
import { percentiles } from './measure.ts';
import type { OnServers } from './mode.ts';
import { noFigures } from './report.ts';

/** How often each call is made by one caller, and then again by eight at once. */
const timesEach = 200;
const callers = 8;
/** Not measured: these connect and compile. */
const warmUps = 5;

/** A log of many rows, and the calls of its users, with and without results. */
export const log: OnServers = async (bench, servers) => {
  const { rows, report } = bench;
  const product = await startProduct(bench, servers, { role: 'api', database: 'log' });
  report(`Inserting ${rows} deliveries …`);
  const filled = await fillLog(product.pool, rows);
  const calls = await timeLog(product.apiUrls[0] ?? '', filled, report);
  const more = Object.fromEntries(
    calls.flatMap(({ call, alone, together }) => [
      [`${call}: p50Ms`, alone.p50],
      [`${call}: p99Ms`, alone.p99],
      [`${call}: p50MsOf8`, together.p50],
      [`${call}: p99MsOf8`, together.p99],
    ]),
  );
  const slowest = Math.max(...calls.flatMap(({ alone, together }) => [alone.p99 ?? 0, together.p99 ?? 0]));
  return { parts: [{ name: `${rows} deliveries`, ...noFigures }], more: { slowestP99Ms: slowest, ...more } };
};

type Times = ReturnType<typeof percentiles>;
type CallTimes = { call: string; alone: Times; together: Times };

/** Milliseconds of each call of the API on the filled log. */
export async function timeLog(
  apiUrl: string,
  filled: FilledLog,
  report: (line: string) => void,
): Promise<CallTimes[]> {
  const http = new HttpPool(apiUrl, { connections: callers });
  const get = async (path: string): Promise<unknown> => {
    const headers = { authorization: `Bearer ${filled.key}` };
    const { statusCode, body } = await http.request({ method: 'GET', path, headers });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`GET ${path}: ${statusCode} ${text}`);
    return JSON.parse(text);
  };
  try {
    const times: CallTimes[] = [];
    for (const [call, path] of await callsOf(filled, get)) {
      for (let count = 0; count < warmUps; count += 1) await get(path);
      const [alone, together] = [
        await timeCalls(() => get(path), 1),
        await timeCalls(() => get(path), callers),
      ];
      times.push({ call, alone, together });
      report(`${call.padEnd(58)}${timesText(alone)}${timesText(together)}`);
    }
    return times;
  } finally {
    await http.close();
  }
}

async function timeCalls(call: () => Promise<unknown>, concurrency: number): Promise<Times> {
  const times: number[] = [];
  let left = timesEach;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const startedAt = performance.now();
      await call();
      times.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return percentiles(times);
}

const timesText = ({ p50, p99 }: Times): string =>
  `${[p50, p99].map((ms) => (ms ?? 0).toFixed(1).padStart(7)).join(' /')} ms`;

type Get = (path: string) => Promise<unknown>;

async function callsOf(filled: FilledLog, get: Get): Promise<[string, string][]> {
  const { busiestId, healthyId, deadId, acceptingId, deliveryId, eventId } = filled;
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();
  const cursors = await followPages(get, '/v1/deliveries', 99);
  const [secondEvents = ''] = await followPages(get, '/v1/events', 1);
  const filters: Record<string, Record<string, string>> = {
    'first page': {},
    'page 2': { cursor: cursors[0] ?? '' },
    'page 100': { cursor: cursors.at(-1) ?? '' },
    'a webhook': { webhook_id: busiestId },
    'an event type': { event: 'document.processed' },
    'an event type, none': { event: 'webhook.disabled' },
    pending: { status: 'pending' },
    retrying: { status: 'retrying' },
    delivered: { status: 'delivered' },
    failed: { status: 'failed' },
    held: { status: 'held' },
    canceled: { status: 'canceled' },
    'since an hour': { since: daysAgo(1 / 24) },
    'until 15 days ago': { until: daysAgo(15) },
    'one day of 30': { since: daysAgo(16), until: daysAgo(15) },
    'code 404': { code: '404' },
    'code 5xx': { code: '5xx' },
    'code 418, none': { code: '418' },
    'failed since a day': { status: 'failed', since: daysAgo(1) },
    'failed, of a type that never fails': { status: 'failed', event: 'dataset.created' },
    'a webhook, failed': { webhook_id: busiestId, status: 'failed' },
    'a webhook, failed, 503, of a type': {
      webhook_id: busiestId,
      status: 'failed',
      code: '503',
      event: 'document.deleted',
    },
    'a webhook that never fails, 5xx': { webhook_id: healthyId, code: '5xx' },
    'a webhook that always fails, delivered': { webhook_id: deadId, status: 'delivered' },
    'a webhook that responds with 204, code 200': { webhook_id: acceptingId, code: '200' },
  };
  return [
    ...Object.entries(filters).map(([call, query]): [string, string] => [
      `deliveries, ${call}`,
      `/v1/deliveries?${new URLSearchParams(query).toString()}`,
    ]),
    ['a delivery', `/v1/deliveries/${deliveryId}`],
    ['events, first page', '/v1/events'],
    ['events, page 2', `/v1/events?cursor=${secondEvents}`],
    ['an event', `/v1/events/${eventId}`],
    ['webhooks', '/v1/webhooks'],
    ['a webhook, with its hourly cap', `/v1/webhooks/${busiestId}`],
    ['statistics of a webhook', `/v1/webhooks/${busiestId}/stats`],
  ];
}

/** The cursors of that many pages after the first one. */
async function followPages(get: Get, path: string, pages: number): Promise<string[]> {
  const cursors: string[] = [];
  while (cursors.length < pages) {
    const cursor = cursors.at(-1);
    const page = (await get(cursor === undefined ? path : `${path}?cursor=${cursor}`)) as {
      next_cursor: string | null;
    };
    if (page.next_cursor === null) throw new Error(`${path} has no more than ${cursors.length + 1} pages`);
    cursors.push(page.next_cursor);
  }
  return cursors;
}
