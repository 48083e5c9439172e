import { setTimeout as delay } from 'node:timers/promises';
import { styleText } from 'node:util';
import type { Delivery, DeliverySummary } from '../contracts/delivery.ts';
import { startDemoReceiver, type DemoReceiver, type DemoRequest } from './demo-receiver.ts';
import { spawnDemoService, type DemoService } from './demo-service.ts';
import { findFaults, type DemoEvent, type DemoPlan } from './demo-checks.ts';
import { table } from './table.ts';

const scheduleSeconds = [1, 2, 3];
const deliverTimeoutMs = 120_000;
const pollMs = 200;

type Receiving = Omit<DemoPlan, 'webhookId'> & { says: string; answer: (number: number) => number };

const receivings: readonly Receiving[] = [
  {
    name: 'healthy',
    says: 'answers 200',
    answer: () => 200,
    status: 'delivered',
    reason: null,
    codes: [200],
  },
  {
    name: 'flaky',
    says: 'answers 503 twice to each event, then 200',
    answer: (number) => (number <= 2 ? 503 : 200),
    status: 'delivered',
    reason: null,
    codes: [503, 503, 200],
  },
  {
    name: 'gone',
    says: 'answers 404',
    answer: () => 404,
    status: 'failed',
    reason: 'client_error',
    codes: [404],
  },
];

/**
 * Starts the service in a temporary folder, sends every event type to three receivers and shows what happens.
 * Answers the exit code: 0 when everything was as promised, 1 when not, 130 or 143 after a signal.
 */
export async function runDemo(mainPath: string): Promise<number> {
  const stopped = new AbortController();
  const { signal } = stopped;
  let service: DemoService | undefined;
  let exitCode: number | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    if (exitCode === undefined) print('gray', `${name}: cleaning up (a second one does so at once) …`);
    else void service?.stop();
    exitCode = name === 'SIGINT' ? 130 : 143;
    stopped.abort();
  };
  // Nobody reads any more: `npm run demo | head`.
  const onUnread = (): void => {
    exitCode ??= 1;
    stopped.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);
  process.stdout.on('error', onUnread);
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
    return await deliverAndJudge(service, signal);
  } catch (error) {
    if (!signal.aborted) print('red', error instanceof Error ? error.message : String(error));
    return exitCode ?? 1;
  } finally {
    await service?.stop();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('SIGHUP', onSignal);
    process.stdout.off('error', onUnread);
  }
}

async function deliverAndJudge(service: DemoService, signal: AbortSignal): Promise<number> {
  const startedAtMs = performance.now();
  const tell = (style: Style, what: string, webhook: string, event: string, text: string): void => {
    const seconds = secondsBetween(startedAtMs, performance.now()).padStart(6);
    print(style, `${seconds} s  ${what.padEnd(9)}  ${webhook.padEnd(7)}  ${event.padEnd(26)}  ${text}`);
  };
  const receiver = await startDemoReceiver(({ webhook, event, number, statusCode, faults }) => {
    const verified = faults.length === 0 ? 'both signatures verified' : faults.join(', ');
    const style = faults.length === 0 ? 'cyan' : 'red';
    tell(style, 'attempt', webhook, event, `number ${number}, answered ${statusCode}, ${verified}`);
  });
  try {
    print('bold', `The service is ready at ${service.apiUrl}. Three webhooks, each for every event type:`);
    const plans = await createWebhooks(service, receiver);
    console.log(`Waits before each retry: ${scheduleSeconds.join(' s, ')} s.\n`);

    const events = await publishExamples(service, ({ event, id }) => tell('blue', 'accepted', '', event, id));
    const nameOf = new Map(plans.map(({ webhookId, name }) => [webhookId, name]));
    const summaries = await followDeliveries(service, plans.length * events.length, signal, (row, link) => {
      const name = nameOf.get(row.webhook_id) ?? row.webhook_id;
      const attempts = `${row.attempt_count} ${row.attempt_count === 1 ? 'attempt' : 'attempts'}`;
      if (link !== null) tell('gray', 'workflow', name, row.event, link);
      else if (row.status === 'retrying')
        tell('yellow', 'wait', name, row.event, `until ${row.next_attempt_at?.slice(11, 23) ?? '?'} UTC`);
      else if (row.status === 'delivered') tell('green', 'delivered', name, row.event, `in ${attempts}`);
      else tell('red', row.status, name, row.event, `${row.reason ?? 'unknown'}, after ${attempts}`);
    });

    const deliveries: Delivery[] = [];
    for (const { id } of summaries) deliveries.push(await service.call('GET', `/v1/deliveries/${id}`));
    console.log(`\n${report(plans, deliveries, receiver.requests, startedAtMs)}\n`);
    const faults = findFaults(plans, events, deliveries, receiver.requests, scheduleSeconds);
    for (const fault of faults) print('red', `NOT AS PROMISED  ${fault}`);
    if (faults.length > 0) return 1;
    print(
      'green',
      `As promised: ${deliveries.length} deliveries in ${receiver.requests.length} attempts, every one verified; ` +
        'the same bytes in every attempt of an event; retries on time; none after a 404.',
    );
    print('gray', 'Stopping the service, its Web UI and its folder; `npm start` runs one that stays.');
    return 0;
  } finally {
    await receiver.close();
  }
}

async function createWebhooks(service: DemoService, receiver: DemoReceiver): Promise<DemoPlan[]> {
  const plans: DemoPlan[] = [];
  for (const { says, answer, ...plan } of receivings) {
    const body = { url: `${receiver.origin}/${plan.name}`, events: ['*'], description: says };
    const created = await service.call<{ webhook_id: string; secret: string }>('POST', '/v1/webhooks', body);
    receiver.serve(plan.name, created.secret, answer);
    plans.push({ ...plan, webhookId: created.webhook_id });
    console.log(`  ${plan.name.padEnd(8)} ${created.webhook_id}  ${says}`);
  }
  return plans;
}

/** Every event type with its example, as `GET /v1/event-types` gives it. */
async function publishExamples(
  service: DemoService,
  onAccepted: (event: DemoEvent) => void,
): Promise<DemoEvent[]> {
  const types = await service.call<{ data: { example: Omit<DemoEvent, 'id'> }[] }>('GET', '/v1/event-types');
  const events: DemoEvent[] = [];
  for (const { example } of types.data) {
    const { id } = await service.call<{ id: string }>('POST', '/v1/events', example);
    const event = { ...example, id };
    onAccepted(event);
    events.push(event);
  }
  return events;
}

/** Reads the log until all deliveries have ended, and tells each change of it; of one delivery the Web UI's link too. */
async function followDeliveries(
  service: DemoService,
  count: number,
  signal: AbortSignal,
  onChange: (delivery: DeliverySummary, link: string | null) => void,
): Promise<DeliverySummary[]> {
  const deadline = Date.now() + deliverTimeoutMs;
  const told = new Map<string, string>();
  let isLinkTold = false;
  for (;;) {
    const { data } = await service.call<{ data: DeliverySummary[] }>('GET', '/v1/deliveries?limit=100');
    for (const delivery of data.toReversed()) {
      const state = `${delivery.status} ${delivery.next_attempt_at}`;
      if (delivery.status === 'pending' || told.get(delivery.id) === state) continue;
      told.set(delivery.id, state);
      onChange(delivery, null);
      if (isLinkTold || delivery.status !== 'retrying') continue;
      const { workflow } = await service.call<Delivery>('GET', `/v1/deliveries/${delivery.id}`);
      if (workflow.url !== null) onChange(delivery, workflow.url);
      isLinkTold = true;
    }
    if (data.length >= count && data.every((delivery) => delivery.ended_at !== null))
      return data.toReversed();
    if (Date.now() > deadline)
      throw new Error(`Not every delivery had ended after ${deliverTimeoutMs / 1000} s.`);
    await delay(pollMs, undefined, { signal });
  }
}

function report(
  plans: readonly DemoPlan[],
  deliveries: readonly Delivery[],
  requests: readonly DemoRequest[],
  startedAtMs: number,
): string {
  const rows = plans.flatMap(({ name, webhookId }) =>
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

/** A line in colour where a person watches: on a terminal, unless NO_COLOR is set. */
function print(style: Style, line: string): void {
  console.log(styleText(style, line, { stream: process.stdout, validateStream: true }));
}
