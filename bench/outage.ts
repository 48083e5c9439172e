import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { FltrWebhooks } from '../src/client/fltr-webhooks.ts';
import type { Webhook } from '../src/contracts/webhook.ts';

/**
 * `node dist/bench/outage.js --hours 2 --deliveries 10000`: an outage with real times, against a service that runs on this
 * machine in development with `FLTR_DELIVERIES_PER_HOUR=0`. A receiver with `probe_when_down` responds with 503 for the given
 * time while events are published. Then it is up again. It fails unless every delivery arrives once and in order, no faster than
 * the ramp says, with fewer than 200 requests in vain, and without delay for another webhook.
 *
 * FLTR_API_URL and FLTR_API_KEY name the service and an account; all other webhooks of the account see the events, too.
 */
type Options = { hours: string; deliveries: string };

const mostInVain = 200;
/** Deliveries of the same moment may swap: so many are released at once. */
const mostDisplaced = 100;
const bystanderLimitMs = 5000;
const batchSize = 100;
const bystanderEveryMs = 10_000;

type Request = { at: number; number: number; wasUp: boolean };

const report = (line: string): void => void process.stdout.write(`${new Date().toISOString()} ${line}\n`);

async function startReceivers() {
  const state = { isUp: true };
  const requests: Request[] = [];
  const bystander = new Map<number, number>();
  const operational: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const event = JSON.parse(String(Buffer.concat(chunks))) as {
        event: string;
        data: { document_id?: string; dataset_id?: string };
      };
      if (request.url === '/operational') operational.push(event.event);
      else if (request.url === '/bystander') bystander.set(Number(event.data.dataset_id), Date.now());
      else requests.push({ at: Date.now(), number: Number(event.data.document_id), wasUp: state.isUp });
      response.writeHead(request.url === '/outage' && !state.isUp ? 503 : 200).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://localhost:${(server.address() as AddressInfo).port}`;
  return { url, state, requests, bystander, operational, close: () => server.close() };
}
type Receivers = Awaited<ReturnType<typeof startReceivers>>;

async function createWebhooks(client: FltrWebhooks, { url }: Receivers) {
  const [outage, bystander, operational] = await Promise.all([
    client.createWebhook({ url: `${url}/outage`, events: ['document.deleted'], probe_when_down: true }),
    client.createWebhook({ url: `${url}/bystander`, events: ['dataset.deleted'] }),
    client.createWebhook({ url: `${url}/operational`, events: ['webhook.*'] }),
  ]);
  return { outage: outage.webhook_id, others: [bystander.webhook_id, operational.webhook_id] };
}

const healthText = ({ health }: Webhook): string =>
  `${health.state} since ${health.since ?? 'ever'}, next probe at ${health.next_probe_at ?? '-'}`;

/** Publishes the events evenly over the outage. */
async function publishDuring(client: FltrWebhooks, count: number, forMs: number): Promise<void> {
  const startedAt = Date.now();
  for (let number = 1; number <= count; number += batchSize) {
    const last = Math.min(count, number + batchSize - 1);
    const events = Array.from({ length: last - number + 1 }, (_, index) => ({
      event: 'document.deleted' as const,
      data: { document_id: String(number + index), dataset_id: 'outage' },
    }));
    const { data } = await client.publishEvents(events);
    const refused = data.filter(({ status }) => status !== 202);
    if (refused.length > 0) throw new Error(`Refused: ${JSON.stringify(refused[0])}`);
    await delay(Math.max(0, startedAt + (last / count) * forMs - Date.now()));
  }
}

/** Sends the bystander an event now and then. Returns how long each took. */
function watchBystander(client: FltrWebhooks, { bystander }: Receivers) {
  const sentAt: number[] = [];
  const send = async (): Promise<void> => {
    const number = sentAt.push(Date.now()) - 1;
    await client.publishEvent({ event: 'dataset.deleted', data: { dataset_id: String(number) } });
  };
  // An event that is not accepted counts as one that does not arrive.
  const timer = setInterval(
    () => void send().catch((error: unknown) => report(`not accepted: ${String(error)}`)),
    bystanderEveryMs,
  );
  return {
    stop: () => clearInterval(timer),
    delays: () => sentAt.map((at, number) => (bystander.get(number) ?? Infinity) - at),
  };
}

/** The broken promises. */
function findFaults(requests: readonly Request[], count: number, delays: readonly number[]): string[] {
  const taken = requests.filter(({ wasUp }) => wasUp);
  const inVain = requests.length - taken.length;
  const numbers = taken.map(({ number }) => number);
  const displaced = Math.max(0, ...numbers.map((number, index) => Math.abs(number - 1 - index)));
  const first = taken[0]?.at ?? 0;
  const perSecond = Array.from({ length: 10 }, (_, second) =>
    taken.filter(({ at }) => at - first >= second * 1000 && at - first < (second + 1) * 1000),
  ).map(({ length }) => length);
  const slowest = Math.max(0, ...delays);
  report(`requests in vain: ${inVain}`);
  report(`attempts in each second after the first success: ${perSecond.join(', ')}`);
  report(`farthest from its position in the order: ${displaced}`);
  report(`slowest of ${delays.length} events to another webhook: ${slowest} ms`);
  let sum = 0;
  const isTooFast = perSecond.some((sent, second) => (sum += sent) > 2 ** (second + 1) * 1.1 + 2);
  return [
    ...(new Set(numbers).size === count ? [] : [`only ${new Set(numbers).size} of ${count} arrived`]),
    ...(numbers.length === count ? [] : [`${numbers.length - count} arrived more than once`]),
    ...(inVain < mostInVain ? [] : [`${inVain} requests in vain, ${mostInVain} or more`]),
    ...(isTooFast ? ['faster than 1, 2, 4, … a second'] : []),
    ...(displaced <= mostDisplaced ? [] : [`out of order by ${displaced}`]),
    ...(slowest <= bystanderLimitMs ? [] : [`another webhook waited for ${slowest} ms`]),
  ];
}

async function run(options: Options): Promise<void> {
  const { FLTR_API_URL: url = 'http://localhost:3000', FLTR_API_KEY: apiKey = '' } = process.env;
  const [count, outageMs] = [Number(options.deliveries), Number(options.hours) * 3_600_000];
  const client = new FltrWebhooks({ apiKey, url });
  const { deliveries_per_hour: cap } = await client.getSettings();
  if (cap !== null) throw new Error('Start the service with FLTR_DELIVERIES_PER_HOUR=0.');
  const receivers = await startReceivers();
  const { outage: id, others } = await createWebhooks(client, receivers);
  const { requests, state, operational } = receivers;
  const status = async () => {
    const health = await client.getWebhook(id).then(healthText, String);
    report(`${requests.length} requests; ${health}`);
  };
  const bystander = watchBystander(client, receivers);
  const progress = setInterval(() => void status(), 60_000);
  try {
    state.isUp = false;
    report(`down for ${options.hours} h; ${count} events are published meanwhile`);
    await publishDuring(client, count, outageMs);
    await status();
    state.isUp = true;
    report('up again');
    const deadline = Date.now() + 3_600_000;
    while (requests.filter(({ wasUp }) => wasUp).length < count && Date.now() < deadline) await delay(250);
    const [first] = requests.filter(({ wasUp }) => wasUp);
    report(
      `all delivered ${((Date.now() - (first?.at ?? NaN)) / 1000).toFixed(0)} s after the first success`,
    );
    bystander.stop();
    await delay(10_000);
    await status();
    report(`events about the webhook: ${operational.join(', ')}`);
    const faults = [
      ...findFaults(requests, count, bystander.delays()),
      ...(operational.join() === 'webhook.down,webhook.recovered' ? [] : ['other events than expected']),
    ];
    report(faults.length === 0 ? 'as it should be' : `FAULTS: ${faults.join('; ')}`);
    process.exitCode = faults.length === 0 ? 0 : 1;
  } finally {
    clearInterval(progress);
    bystander.stop();
    receivers.close();
    for (const each of [id, ...others]) await client.deleteWebhook(each);
  }
}

await new Command()
  .description('an outage of a receiver, with real times')
  .option('--hours <hours>', 'how long it lasts', '2')
  .option('--deliveries <count>', 'events that are published meanwhile', '10000')
  .action(run)
  .parseAsync();
