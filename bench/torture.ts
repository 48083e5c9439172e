import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createPool, type Pool } from '../src/db/pool.ts';
import { createTemporal } from '../src/temporal/client.ts';
import { newAccountKey } from './targets.ts';
import { startBusyLoops, startDisturbances, type Call } from './torture-disturbances.ts';
import { startParts, type PartName, type TemporalKind } from './torture-parts.ts';
import { policyOf } from './torture-policies.ts';
import { manners, startTortureReceiver, type Manner } from './torture-receiver.ts';

type Options = {
  deliveries: number;
  webhooks: number;
  kills: number;
  /** Processes beside it that each use a core all the time. */
  busyLoops?: number;
  temporal?: TemporalKind;
  /** Of the service. With several, single ones are killed too, and all are replaced. */
  processes?: number;
  print: (line: string) => void;
};

export type TortureResult = {
  accepted: number;
  ended: number;
  lost: number;
  wrong: number;
  secondWorkflows: number;
  requests: number;
  /** Attempts that were made but not recorded because a process died, and so were made again. */
  repeated: number;
  /** Disturbances beside the kills. */
  pauses: number;
  cancels: number;
  cuts: number;
  longestStallMs: number;
  seconds: number;
};

const webhooksPerAccount = 10;
const publishers = 8;
const partsOf = (processes: number): PartName[] => [
  ...(processes > 1 ? (['process', 'restart'] as const) : []),
  'service',
  'worker',
  'temporal',
  'postgresql',
];

/** Publishes, kills parts at random, waits for every delivery's end, and counts the results. */
export async function runTorture({
  deliveries,
  webhooks,
  kills,
  busyLoops = 0,
  temporal = 'dev',
  processes = 1,
  print,
}: Options): Promise<TortureResult> {
  const startedAt = Date.now();
  const dataDir = mkdtempSync(join(tmpdir(), 'fltr-torture-'));
  const receiver = await startTortureReceiver();
  const service = await startParts(dataDir, temporal, {
    FLTR_PROCESSES: String(processes),
    FLTR_RETRY_SCHEDULE_SECONDS: '1,1,2,2,3,3,5,5',
    FLTR_DELIVERIES_PER_HOUR: '0',
    FLTR_AUTO_DISABLE_MIN_DELIVERIES: '1000000',
    FLTR_API_REQUESTS_PER_MINUTE: '0',
  });
  const busy = startBusyLoops(busyLoops);
  const pool = createPool({ databaseUrl: service.databaseUrl, maxConnections: 4, onError: () => undefined });
  try {
    const mannerOf = new Map<string, { manner: Manner; number: number }>();
    const keys: string[] = [];
    const webhookKeys: { id: string; key: string }[] = [];
    const accepted: { id: string; key: string }[] = [];
    const callApi: Call = (key, ...request) => call(service.apiUrl, key, ...request);
    for (let number = 0; number < webhooks; number += 1) {
      if (number % webhooksPerAccount === 0) keys.push((await newAccountKey(pool, 'torture')).key);
      const manner = manners[number % manners.length] ?? 'healthy';
      const body = { url: receiver.url(manner, number), events: ['*'], ...policyOf(manner, number) };
      const key = keys.at(-1) ?? '';
      const { webhook_id: id } = (await callApi(key, 'POST', '/v1/webhooks', body)) as { webhook_id: string };
      webhookKeys.push({ id, key });
      mannerOf.set(id, { manner, number });
    }
    const events = Math.ceil(deliveries / webhooksPerAccount);
    print(
      `${webhooks} webhooks in ${keys.length} accounts; ${events} events, ${deliveries} deliveries, ${kills} times kill -9.`,
    );

    const disturbances = startDisturbances({ call: callApi, pool, webhooks: webhookKeys, accepted });
    const parts = partsOf(processes);
    let isPublished = false;
    const killing = (async () => {
      for (let count = 0; count < kills; count += 1) {
        await delay(500 + Math.random() * 4000);
        const part = parts[count % parts.length] ?? 'worker';
        const afterMs = Math.round(Math.random() * 2000);
        const kill = `${part === 'restart' ? 'SIGHUP' : `kill -9 ${part}`}, ${count + 1} of ${kills}`;
        print(`  ${kill}; back after ${afterMs} ms${isPublished ? '' : ' (publishing)'}`);
        await service.killAndRestart(part, afterMs);
      }
    })();
    await publishAll(callApi, keys, events, (kills * 3000) / events, accepted);
    isPublished = true;
    print(`  ${accepted.length} deliveries accepted`);
    const stalls = watchStalls(() => receiver.requests.size + receiver.lastAt());
    await killing;
    await disturbances.stop();
    print(`  ${JSON.stringify(disturbances.counts)}`);
    await untilEnded(pool, print);
    const longestStallMs = stalls.stop();

    const rows = await pool.query<{
      id: string;
      status: string;
      webhookId: string;
      eventId: string;
      attempts: number;
      workflowId: string | null;
      wasHeld: boolean;
    }>(
      `select id, owner_id as "workflowId", status, webhook_id as "webhookId", event_id as "eventId", attempt_count as attempts,
         timeline @> '[{"type": "held"}]' as "wasHeld" from deliveries`,
    );
    const byId = new Map(rows.rows.map((row) => [row.id, row]));
    const requests = [...receiver.requests.values()].reduce((sum, count) => sum + count, 0);
    const result: TortureResult = {
      accepted: accepted.length,
      ended: rows.rows.length,
      lost: accepted.filter(({ id }) => {
        if (disturbances.canceled.has(id)) return false;
        const row = byId.get(id);
        const webhook = mannerOf.get(row?.webhookId ?? '');
        return !row || !webhook || !receiver.requests.has(`${row.eventId} ${webhook.number}`);
      }).length,
      wrong: rows.rows.filter((row) => {
        const expected = mannerOf.get(row.webhookId)?.manner === 'refusing' ? 'failed' : 'delivered';
        const isCanceled = row.status === 'canceled' && disturbances.canceled.has(row.id);
        return row.status !== expected && !isCanceled;
      }).length,
      secondWorkflows: await countSecondWorkflows(
        service.temporalAddress,
        new Set(rows.rows.flatMap(({ workflowId }) => workflowId ?? [])),
        new Set(rows.rows.filter(({ wasHeld }) => wasHeld).map(({ id }) => id)),
      ),
      requests,
      repeated: receiver.attempts.size - rows.rows.reduce((sum, { attempts }) => sum + attempts, 0),
      ...disturbances.counts,
      longestStallMs,
      seconds: Math.round((Date.now() - startedAt) / 1000),
    };
    return result;
  } finally {
    busy.stop();
    await pool.end();
    await service.stop();
    await receiver.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

export function isPassed({
  accepted,
  ended,
  lost,
  wrong,
  secondWorkflows,
  repeated,
}: TortureResult): boolean {
  return accepted === ended && lost === 0 && wrong === 0 && secondWorkflows === 0 && repeated >= 0;
}

/** One call, repeated until it succeeds or is refused as expected, because killed parts come back. */
async function call(
  apiUrl: string,
  key: string,
  method: string,
  path: string,
  body: unknown,
  refusals: readonly number[] = [],
): Promise<unknown> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    try {
      const response = await fetch(apiUrl + path, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(15_000),
      });
      if (response.ok || refusals.includes(response.status)) return await response.json();
      if (response.status < 500) throw new Error(await response.text());
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await delay(100);
  }
}

/** Publishes while parts die, with ids of its own, so that a repeated call is one event. Adds the accepted events. */
async function publishAll(
  callApi: Call,
  keys: readonly string[],
  events: number,
  everyMs: number,
  accepted: { id: string; key: string }[],
): Promise<void> {
  let next = 0;
  const publish = async (): Promise<void> => {
    for (let number = next++; number < events; number = next++) {
      const event = {
        event: 'document.deleted',
        id: `evt_${number}`,
        data: { document_id: `doc_${number}`, dataset_id: 'ds' },
      };
      const key = keys[number % keys.length] ?? '';
      const response = (await callApi(key, 'POST', '/v1/events', event)) as { deliveries: { id: string }[] };
      accepted.push(...response.deliveries.map(({ id }) => ({ id, key })));
      await delay(everyMs * publishers);
    }
  };
  await Promise.all(Array.from({ length: publishers }, publish));
}

async function untilEnded(pool: Pool, print: (line: string) => void): Promise<void> {
  const deadline = Date.now() + 900_000;
  let printedAt = 0;
  for (;;) {
    const waiting = await pool
      .query<{ count: number }>(`select count(*)::int as count from deliveries where ended_at is null`)
      .then(({ rows }) => rows[0]?.count ?? 0)
      .catch(() => null);
    if (waiting === 0) return;
    if (Date.now() > deadline) throw new Error(`${waiting} deliveries did not end within 15 minutes`);
    if (Date.now() - printedAt > 10_000) {
      printedAt = Date.now();
      print(`  ${waiting ?? '?'} deliveries wait`);
    }
    await delay(500);
  }
}

/** The longest time without progress. */
function watchStalls(read: () => number): { stop(): number } {
  let longest = 0;
  let last = read();
  let since = Date.now();
  const timer = setInterval(() => {
    const value = read();
    if (value !== last) since = Date.now();
    last = value;
    longest = Math.max(longest, Date.now() - since);
  }, 100);
  return {
    stop() {
      clearInterval(timer);
      return longest;
    },
  };
}

/**
 * Workflows that were run a second time. Each delivery is owned by its own, by a group's, or by that and then its own; one
 * that was held is run again when its webhook is active again.
 */
async function countSecondWorkflows(
  address: string,
  owners: ReadonlySet<string>,
  held: ReadonlySet<string>,
): Promise<number> {
  const temporal = createTemporal({ address, tls: false }, 'default');
  try {
    // Visibility lags a little behind.
    for (let attempt = 0; ; attempt += 1) {
      const runs = new Map<string, number>();
      for await (const { workflowId } of temporal.client.workflow.list({
        query: `WorkflowType = 'deliverEvent' or WorkflowType = 'deliverGroup'`,
      })) {
        runs.set(workflowId, (runs.get(workflowId) ?? 0) + 1);
      }
      if ([...owners].every((id) => runs.has(id)) || attempt === 30)
        return [...runs].filter(([id, count]) => count > 1 && !held.has(id)).length;
      await delay(1000);
    }
  } finally {
    await temporal.connection.close();
  }
}

if (process.argv[1] === import.meta.filename) {
  const args = process.argv.slice(2);
  const temporal = args.includes('--temporal=postgresql') ? 'postgresql' : 'dev';
  const option = (name: string) => Number(new RegExp(`--${name}=(\\d+)`).exec(args.join(' '))?.[1] ?? 1);
  const [busyLoops, processes] = [option('busy'), option('processes')];
  const [deliveries = 10_000, webhooks = 200, kills = 10] = args
    .filter((arg) => !arg.startsWith('--'))
    .map(Number);
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const result = await runTorture({ deliveries, webhooks, kills, busyLoops, temporal, processes, print });
  print(JSON.stringify(result, null, 2));
  print(isPassed(result) ? 'Passed: everything accepted ended as it should, nothing was lost.' : 'FAILED');
  process.exit(isPassed(result) ? 0 : 1);
}
