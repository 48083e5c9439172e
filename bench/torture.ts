import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createPool } from '../src/db/pool.ts';
import {
  countSecondWorkflows,
  readRows,
  untilEnded,
  watchStalls,
  type TortureRow,
} from './torture-checks.ts';
import { startBusyLoops, startDisturbances, type Call, type Disturbances } from './torture-disturbances.ts';
import { startOutboxes, type OutboxResult } from './torture-outbox.ts';
import { startParts, type PartName, type Parts, type TemporalKind } from './torture-parts.ts';
import {
  callUntilDone,
  createWebhooks,
  publishAll,
  webhooksPerAccount,
  type TortureWebhook,
} from './torture-publish.ts';
import { countOutOfOrder, startTortureReceiver, type TortureReceiver } from './torture-receiver.ts';

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
  /** Requests to ordered webhooks. */
  outOfOrder: number;
  secondWorkflows: number;
  /** Events that were published through an outbox. */
  outbox: Omit<OutboxResult, 'deliveries'>;
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

/** One event of so many is published through an outbox. */
const eventsPerOutboxEvent = 4;
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
  webhooks: webhookCount,
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
  const stops = [() => receiver.close(), () => service.stop()];
  const busy = startBusyLoops(busyLoops);
  const pool = createPool({ databaseUrl: service.databaseUrl, maxConnections: 4, onError: () => undefined });
  stops.push(() => pool.end());
  try {
    const callApi: Call = (key, ...request) => callUntilDone(service.apiUrl, key, ...request);
    const { accounts, webhooks } = await createWebhooks(callApi, pool, receiver, webhookCount);
    const events = Math.ceil(deliveries / webhooksPerAccount);
    const outboxEvents = Math.ceil(events / eventsPerOutboxEvent);
    print(
      `${webhookCount} webhooks in ${accounts.length} accounts; ${events} events, of which ${outboxEvents} through an outbox, ${deliveries} deliveries, ${kills} times kill -9.`,
    );
    const durationMs = kills * 3000;
    const outboxes = await startOutboxes({
      urls: [service.databaseUrl, service.otherDatabaseUrl],
      accountIds: accounts.map(({ accountId }) => accountId),
      events: outboxEvents,
      durationMs,
    });
    stops.push(outboxes.stop);
    const accepted: { id: string; key: string }[] = [];
    const disturbances = startDisturbances({ call: callApi, pool, webhooks, accepted });
    let isPublished = false;
    const killing = killParts(service, partsOf(processes), kills, (line) =>
      print(`  ${line}${isPublished ? '' : ' (publishing)'}`),
    );
    const keys = accounts.map(({ key }) => key);
    const ofApi = events - outboxEvents;
    await publishAll(callApi, keys, ofApi, durationMs / ofApi, accepted);
    await outboxes.ended;
    isPublished = true;
    print(`  ${accepted.length} deliveries accepted by the API`);
    const stalls = watchStalls(() => receiver.requests.size + receiver.lastAt());
    await killing;
    await disturbances.stop();
    print(`  ${JSON.stringify(disturbances.counts)}`);
    await outboxes.untilEmpty();
    await untilEnded(pool, print);
    const longestStallMs = stalls.stop();
    const { deliveries: throughOutbox, ...outbox } = await outboxes.result(pool);
    const rows = await readRows(pool);
    return {
      ...countResults(
        rows,
        [...accepted.map(({ id }) => id), ...throughOutbox],
        webhooks,
        receiver,
        disturbances,
      ),
      secondWorkflows: await countSecondWorkflows(
        service.temporalAddress,
        new Set(rows.flatMap(({ workflowId }) => workflowId ?? [])),
        new Set(rows.filter(({ wasHeld }) => wasHeld).map(({ id }) => id)),
      ),
      outbox,
      ...disturbances.counts,
      longestStallMs,
      seconds: Math.round((Date.now() - startedAt) / 1000),
    };
  } finally {
    busy.stop();
    for (const stop of stops.toReversed()) await stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function killParts(
  service: Parts,
  parts: readonly PartName[],
  kills: number,
  print: (line: string) => void,
): Promise<void> {
  for (let count = 0; count < kills; count += 1) {
    await delay(500 + Math.random() * 4000);
    const part = parts[count % parts.length] ?? 'worker';
    const afterMs = Math.round(Math.random() * 2000);
    const kill = part === 'restart' ? 'SIGHUP' : `kill -9 ${part}`;
    print(`${kill}, ${count + 1} of ${kills}; back after ${afterMs} ms`);
    await service.killAndRestart(part, afterMs);
  }
}

function countResults(
  rows: readonly TortureRow[],
  accepted: readonly string[],
  webhooks: readonly TortureWebhook[],
  receiver: TortureReceiver,
  { canceled }: Disturbances,
) {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const webhookOf = new Map(webhooks.map((webhook) => [webhook.id, webhook]));
  const isLost = (id: string): boolean => {
    if (canceled.has(id)) return false;
    const row = byId.get(id);
    const webhook = webhookOf.get(row?.webhookId ?? '');
    return !row || !webhook || !receiver.requests.has(`${row.eventId} ${webhook.number}`);
  };
  const isWrong = ({ id, status, webhookId }: TortureRow): boolean => {
    const expected = webhookOf.get(webhookId)?.manner === 'refusing' ? 'failed' : 'delivered';
    return status !== expected && !(status === 'canceled' && canceled.has(id));
  };
  return {
    accepted: accepted.length,
    ended: rows.length,
    lost: accepted.filter(isLost).length,
    wrong: rows.filter(isWrong).length,
    outOfOrder: webhooks
      .filter(({ isOrdered }) => isOrdered)
      .reduce((sum, { number }) => sum + countOutOfOrder(receiver, number), 0),
    requests: [...receiver.requests.values()].reduce((sum, count) => sum + count, 0),
    repeated: receiver.attempts.size - rows.reduce((sum, { attempts }) => sum + attempts, 0),
  };
}

export function isPassed({
  accepted,
  ended,
  lost,
  wrong,
  outOfOrder,
  secondWorkflows,
  outbox,
  repeated,
}: TortureResult): boolean {
  const faults = lost + wrong + outOfOrder + secondWorkflows + outbox.wrong;
  return accepted === ended && faults === 0 && repeated >= 0;
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
