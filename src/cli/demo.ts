import { setTimeout as delay } from 'node:timers/promises';
import { styleText } from 'node:util';
import type { Delivery, DeliverySummary } from '../contracts/delivery.ts';
import type { EventTypeInfo } from '../contracts/event-types.ts';
import type { Settings } from '../contracts/settings.ts';
import { wireTimestamp } from '../domain/wire-body.ts';
import { startDemoReceiver, type DemoReceiver, type DemoRequest } from './demo-receiver.ts';
import { spawnDemoService, type DemoService } from './demo-service.ts';
import { findFaults, type DemoEvent, type DemoWebhook } from './demo-checks.ts';
import { table } from './table.ts';

const scheduleSeconds = [1, 2, 3];
const deliverTimeoutMs = 120_000;
const pollMs = 200;

type DemoBehavior = Omit<DemoWebhook, 'webhookId'> & {
  description: string;
  statusOf: (number: number) => number;
};

const behaviors: readonly DemoBehavior[] = [
  {
    name: 'healthy',
    description: 'returns 200',
    statusOf: () => 200,
    status: 'delivered',
    reason: null,
    codes: [200],
  },
  {
    name: 'flaky',
    description: 'returns 503 twice for each event, then 200',
    statusOf: (number) => (number <= 2 ? 503 : 200),
    status: 'delivered',
    reason: null,
    codes: [503, 503, 200],
  },
  {
    name: 'gone',
    description: 'returns 404',
    statusOf: () => 404,
    status: 'failed',
    reason: 'client_error',
    codes: [404],
  },
];

/**
 * Starts the service in a temporary folder, sends every event type to three receivers and checks the deliveries.
 *
 * @returns the exit code: 0 if everything was as expected, 1 if not, 130 or 143 after a signal
 */
export async function runDemo(mainPath: string): Promise<number> {
  const stopped = new AbortController();
  const { signal } = stopped;
  let service: DemoService | undefined;
  let exitCode: number | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    if (exitCode === undefined) print('gray', `${name}: cleaning up (send it again to stop immediately) …`);
    else void service?.stop();
    exitCode = name === 'SIGINT' ? 130 : 143;
    stopped.abort();
  };
  // The reader is gone: `npm run demo | head`.
  const onClosedOutput = (): void => {
    exitCode ??= 1;
    stopped.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);
  process.stdout.on('error', onClosedOutput);
  try {
    print('gray', 'Starting the service in a temporary folder …');
    const started = await spawnDemoService({
      mainPath,
      settings: { FLTR_RETRY_SCHEDULE_SECONDS: scheduleSeconds.join() },
      signal,
      onProgress: (line) => print('gray', `  ${line}`),
    });
    ({ service } = started);
    await started.ready;
    return await deliverAndCheck(service, signal);
  } catch (error) {
    if (!signal.aborted) print('red', error instanceof Error ? error.message : String(error));
    return exitCode ?? 1;
  } finally {
    await service?.stop();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('SIGHUP', onSignal);
    process.stdout.off('error', onClosedOutput);
  }
}

async function deliverAndCheck(service: DemoService, signal: AbortSignal): Promise<number> {
  const startedAtMs = performance.now();
  const logLine = (style: Style, part: string, webhook: string, event: string, text: string): void => {
    const seconds = secondsBetween(startedAtMs, performance.now()).padStart(6);
    print(style, `${seconds} s  ${part.padEnd(9)}  ${webhook.padEnd(7)}  ${event.padEnd(26)}  ${text}`);
  };
  const expected = await service.call<Settings>('GET', '/v1/settings');
  const valid = expected.signatures.length === 1 ? 'the signature is valid' : 'both signatures are valid';
  const receiver = await startDemoReceiver(expected, ({ webhook, event, number, statusCode, faults }) => {
    const verified = faults.length === 0 ? valid : faults.join(', ');
    const style = faults.length === 0 ? 'cyan' : 'red';
    logLine(style, 'attempt', webhook, event, `attempt ${number}, returned ${statusCode}, ${verified}`);
  });
  try {
    print(
      'bold',
      `The service is ready at ${service.apiUrl}. Three webhooks, each subscribed to all event types:`,
    );
    const webhooks = await createWebhooks(service, receiver);
    console.log(`Waits before each retry: ${scheduleSeconds.join(' s, ')} s.\n`);

    const events = await publishExamples(service, ({ event, id }) =>
      logLine('blue', 'accepted', '', event, id),
    );
    const nameOf = new Map(webhooks.map(({ webhookId, name }) => [webhookId, name]));
    const summaries = await followDeliveries(
      service,
      webhooks.length * events.length,
      signal,
      (row, link) => {
        const name = nameOf.get(row.webhook_id) ?? row.webhook_id;
        const attempts = `${row.attempt_count} ${row.attempt_count === 1 ? 'attempt' : 'attempts'}`;
        if (link !== null) logLine('gray', 'workflow', name, row.event, link);
        else if (row.status === 'retrying')
          logLine(
            'yellow',
            'wait',
            name,
            row.event,
            `until ${row.next_attempt_at?.slice(11, 23) ?? '?'} UTC`,
          );
        else if (row.status === 'delivered') logLine('green', 'delivered', name, row.event, `in ${attempts}`);
        else logLine('red', row.status, name, row.event, `${row.reason ?? 'unknown'}, after ${attempts}`);
      },
    );

    const deliveries: Delivery[] = [];
    for (const { id } of summaries) deliveries.push(await service.call('GET', `/v1/deliveries/${id}`));
    console.log(`\n${report(webhooks, deliveries, receiver.requests, startedAtMs)}\n`);
    const faults = findFaults(webhooks, events, deliveries, receiver.requests, scheduleSeconds);
    for (const fault of faults) print('red', `UNEXPECTED  ${fault}`);
    if (faults.length > 0) return 1;
    print(
      'green',
      `As expected: ${deliveries.length} deliveries in ${receiver.requests.length} attempts, all signatures valid, ` +
        'the same bytes in all attempts of an event, retries on time, none after a 404.',
    );
    print('gray', 'Stopping the service and removing its folder. `npm start` runs a permanent one.');
    return 0;
  } finally {
    await receiver.close();
  }
}

async function createWebhooks(service: DemoService, receiver: DemoReceiver): Promise<DemoWebhook[]> {
  const webhooks: DemoWebhook[] = [];
  for (const { description, statusOf, ...webhook } of behaviors) {
    const body = { url: `${receiver.origin}/${webhook.name}`, events: ['*'], description };
    const created = await service.call<{ webhook_id: string; secret: string }>('POST', '/v1/webhooks', body);
    receiver.serve(webhook.name, created.secret, statusOf);
    webhooks.push({ ...webhook, webhookId: created.webhook_id });
    console.log(`  ${webhook.name.padEnd(8)} ${created.webhook_id}  ${description}`);
  }
  return webhooks;
}

/** Publishes the example of every event type. */
async function publishExamples(
  service: DemoService,
  onAccepted: (event: DemoEvent) => void,
): Promise<DemoEvent[]> {
  const types = await service.call<{ data: EventTypeInfo[] }>('GET', '/v1/event-types');
  const events: DemoEvent[] = [];
  for (const { event: type, example } of types.data) {
    const published = { event: type, timestamp: wireTimestamp(new Date()), data: example ?? {} };
    const { id } = await service.call<{ id: string }>('POST', '/v1/events', published);
    const event = { ...published, id };
    onAccepted(event);
    events.push(event);
  }
  return events;
}

/** Polls the log until all deliveries have ended, and reports each change; for one delivery also the link to the Web UI. */
async function followDeliveries(
  service: DemoService,
  count: number,
  signal: AbortSignal,
  onChange: (delivery: DeliverySummary, link: string | null) => void,
): Promise<DeliverySummary[]> {
  const deadline = Date.now() + deliverTimeoutMs;
  const reported = new Map<string, string>();
  let isLinkReported = false;
  for (;;) {
    const { data } = await service.call<{ data: DeliverySummary[] }>('GET', '/v1/deliveries?limit=100');
    for (const delivery of data.toReversed()) {
      const state = `${delivery.status} ${delivery.next_attempt_at}`;
      if (delivery.status === 'pending' || reported.get(delivery.id) === state) continue;
      reported.set(delivery.id, state);
      onChange(delivery, null);
      if (isLinkReported || delivery.status !== 'retrying') continue;
      const { workflow } = await service.call<Delivery>('GET', `/v1/deliveries/${delivery.id}`);
      if (workflow.url !== null) onChange(delivery, workflow.url);
      isLinkReported = true;
    }
    if (data.length >= count && data.every((delivery) => delivery.ended_at !== null))
      return data.toReversed();
    if (Date.now() > deadline)
      throw new Error(`Some deliveries have not ended after ${deliverTimeoutMs / 1000} s.`);
    await delay(pollMs, undefined, { signal });
  }
}

function report(
  webhooks: readonly DemoWebhook[],
  deliveries: readonly Delivery[],
  requests: readonly DemoRequest[],
  startedAtMs: number,
): string {
  const rows = webhooks.flatMap(({ name, webhookId }) =>
    deliveries
      .filter((delivery) => delivery.webhook_id === webhookId)
      .map((delivery) => {
        const sent = requests.filter((one) => one.webhook === name && one.eventId === delivery.event_id);
        const isVerified = sent.length > 0 && sent.every(({ faults }) => faults.length === 0);
        const seconds = sent.map(({ arrivedAtMs }) => secondsBetween(startedAtMs, arrivedAtMs));
        return {
          delivery: delivery.id,
          event: delivery.event,
          webhook: name,
          status: delivery.status,
          attempts: String(delivery.attempts.length),
          codes: delivery.attempts.map((attempt) => attempt.status_code ?? '-').join(' '),
          'times (s)': seconds.join(' '),
          verified: isVerified ? 'yes' : 'no',
        };
      }),
  );
  return table(rows);
}

function secondsBetween(startMs: number, endMs: number): string {
  return ((endMs - startMs) / 1000).toFixed(2);
}

type Style = 'bold' | 'gray' | 'red' | 'green' | 'yellow' | 'blue' | 'cyan';

/** In color on a terminal, unless NO_COLOR is set. */
function print(style: Style, line: string): void {
  console.log(styleText(style, line, { stream: process.stdout, validateStream: true }));
}
