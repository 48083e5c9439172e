import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { countByStatus } from '../kit/delivery-steps.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let running: Part[];
beforeEach(async () => {
  running = [];
  [service, receiver] = await Promise.all([
    startService({ LOG_LEVEL: 'warn', FLTR_DRAIN_SECONDS: '5', FLTR_DELIVERIES_PER_HOUR: '0' }, null),
    startReceiver(),
  ]);
});
afterEach(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.map(({ child }) => child.exited()));
  await service.stop();
  await receiver.close();
});

/** One process of the service; `isReady` as a load balancer knows it. */
type Part = { role: string; port: number; apiUrl: string; child: ServiceProcess; isReady: boolean };

async function start(role: string, port?: number): Promise<Part> {
  const free = port ?? (await reservePort());
  const child = startProcess([role], { ...service.env, PORT: String(free) });
  const part = { role, port: free, apiUrl: `http://127.0.0.1:${free}`, child, isReady: false };
  running.push(part);
  if (role !== 'worker') await untilReady(part.apiUrl, child);
  part.isReady = role !== 'worker';
  return part;
}

async function stop(part: Part, signal: NodeJS.Signals): Promise<number | null> {
  running = running.filter((each) => each !== part);
  part.child.kill(signal);
  return part.child.exited();
}

/** Polls the readiness of every process, as a load balancer does: one request to each at a time. */
function watchReadiness(): () => void {
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const parts = running.filter(({ role }) => role !== 'worker');
      await Promise.all(
        parts.map(async (part) => {
          part.isReady = await fetch(`${part.apiUrl}/readyz`).then(
            ({ ok }) => ok,
            () => false,
          );
        }),
      );
      await delay(100);
    }
  };
  void watch();
  return () => over.abort();
}

/** No more is published while so many deliveries wait: a slow machine gets events more slowly. */
const mostWaiting = 60;

/** Publishes to a process that is ready, until it is stopped; the status of every response. */
function publishOn(everyMs: number): {
  statuses: (number | string)[];
  /** Until so many more were accepted. */
  untilMore(count: number): Promise<void>;
  finish(): Promise<number>;
} {
  const statuses: (number | string)[] = [];
  const over = new AbortController();
  let count = 0;
  const accepted = () => statuses.filter((status) => status === 202).length;
  const publish = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await until(
        () => accepted() - receiver.requests.length,
        (waiting) => waiting < mostWaiting || over.signal.aborted,
      );
      const ready = running.filter(({ isReady }) => isReady);
      const part = ready[count % Math.max(1, ready.length)];
      count += 1;
      if (!part) statuses.push('none ready');
      else {
        const body = { event: 'document.deleted', data: { document_id: `doc_${count}`, dataset_id: 'ds' } };
        await call(part.apiUrl, service.key, 'POST', '/v1/events', body).then(
          ({ status }) => statuses.push(status),
          (error: unknown) => statuses.push(String(error)),
        );
      }
      await delay(everyMs);
    }
  };
  const publishing = Promise.all(Array.from({ length: 4 }, publish));
  return {
    statuses,
    async untilMore(more) {
      const before = accepted();
      await until(accepted, (now) => now >= before + more);
    },
    async finish() {
      over.abort();
      await publishing;
      return statuses.length;
    },
  };
}

const counts = () => countByStatus(service.pool);
/** Deliveries with more than one attempt, and how each attempt ended. */
const repeated = async () => {
  const { rows } = await service.pool.query<Record<string, unknown>>(
    `select delivery_id, jsonb_agg(to_jsonb(a) - 'response_headers' order by number) as attempts
     from attempts a group by delivery_id having count(*) > 1`,
  );
  return rows;
};
const newWebhook = () =>
  call(running[0]?.apiUrl ?? '', service.key, 'POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });

test(
  'three whole processes: a rolling restart under load loses nothing and fails no publish',
  { timeout: 300_000 },
  async () => {
    // At once: migrations, schedules and search attributes are made by one of them.
    const ports = await Promise.all([reservePort(), reservePort(), reservePort()]);
    await Promise.all(ports.map((port) => start('up', port)));
    expect((await newWebhook()).status).toBe(201);
    const endWatch = watchReadiness();
    const publishing = publishOn(60);
    for (const part of running) {
      await publishing.untilMore(30);
      // It only reports that it is not ready, and still responds.
      part.child.kill('SIGTERM');
      expect(await part.child.exited()).toBe(0);
      running = running.filter((each) => each !== part);
      await start('up', part.port);
    }
    await publishing.untilMore(30);
    const published = await publishing.finish();
    endWatch();
    expect(publishing.statuses.filter((status) => status !== 202)).toEqual([]);
    await until(counts, ({ delivered }) => delivered === published);
    expect(await repeated()).toEqual([]);
    const idsOf = (header: string) => new Set(receiver.requests.map(({ headers }) => headers[header])).size;
    // Each request is an attempt of its own: a graceful stop repeats none.
    expect([idsOf('webhook-id'), idsOf('x-fltr-delivery')]).toEqual([published, published]);
  },
);

test('two APIs and three workers: any of them may die at any moment', { timeout: 300_000 }, async () => {
  await start('api');
  await Promise.all([start('worker'), start('worker'), start('worker'), start('api')]);
  expect((await newWebhook()).status).toBe(201);
  const publishing = publishOn(60);
  for (const role of ['worker', 'worker', 'api']) {
    await publishing.untilMore(20);
    const part = running.findLast((each) => each.role === role);
    if (!part) throw new Error(`No ${role} runs`);
    part.isReady = false;
    await stop(part, 'SIGKILL');
  }
  await publishing.untilMore(20);
  await publishing.finish();
  const accepted = publishing.statuses.filter((status) => status === 202).length;
  await until(counts, (by) => Object.keys(by).join() === 'delivered');
  const { delivered } = await counts();
  expect(delivered).toBeGreaterThanOrEqual(accepted);
  // Requests under way of a process that died may have come twice; no others have.
  const events = new Set(receiver.requests.map(({ headers }) => headers['webhook-id']));
  expect(events.size).toBe(delivered);
});
