import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isAlive } from '../../src/embedded/processes.ts';
import { callOn, startLoad } from '../kit/keep-alive.ts';
import { countByStatus } from '../kit/delivery-steps.ts';
import { childrenOf, startProcess, type ServiceProcess } from '../kit/process.ts';
import { parseMetrics, sumOf } from '../kit/read-metrics.ts';
import { atOnce, startService, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

const count = 3;
let service: Service;
let receiver: Receiver;
let running: ServiceProcess[];
beforeEach(async () => {
  running = [];
  [service, receiver] = await Promise.all([
    startService({ FLTR_DELIVERIES_PER_HOUR: '0', LOG_LEVEL: 'info' }, null),
    startReceiver(),
  ]);
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  await Promise.all(running.map((child) => child.exited()));
  await service.stop();
  await receiver.close();
});

/** The metrics, on a connection of its own: from any process. */
async function readMetrics() {
  const { status, body } = await callOn(`${service.apiUrl}/metrics`, null);
  expect(status).toBe(200);
  return parseMetrics(body);
}
const read = async (name: string, labels?: Record<string, string>) =>
  sumOf(await readMetrics(), name, labels);

async function start(settings: Record<string, string> = {}): Promise<ServiceProcess> {
  const child = startProcess(['up'], { ...service.env, FLTR_PROCESSES: String(count), ...settings });
  running.push(child);
  await until(child.output, (output) => output.includes('is ready.') || !child.isRunning());
  if (!child.isRunning()) throw new Error(child.output());
  expect(childrenOf(child)).toHaveLength(count);
  return child;
}

const newWebhook = async (): Promise<void> => {
  const body = { url: receiver.url, events: ['*'] };
  const made = await callOn(`${service.apiUrl}/v1/webhooks`, service.key, { method: 'POST', body });
  expect(made.status).toBe(201);
};
const countBy = () => countByStatus(service.pool);
/** How many different values the receiver got in that header. */
const received = (header: string) => new Set(receiver.requests.map(({ headers }) => headers[header])).size;

test('one port leads to all processes: each event is delivered once, and metrics and limits are those of one service', async () => {
  const child = await start({ LOG_LEVEL: 'debug', FLTR_API_REQUESTS_PER_MINUTE: '20' });
  await newWebhook();
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const events = 60;
  // Each on a connection of its own.
  const published = await atOnce(events, () =>
    callOn(`${service.apiUrl}/v1/events`, service.key, { method: 'POST', body: event }),
  );
  expect(published.filter(({ status }) => status !== 202)).toEqual([]);
  await until(countBy, ({ delivered }) => delivered === events);
  expect([receiver.requests.length, received('webhook-id')]).toEqual([events, events]);
  const lines = child.output().split('\n');
  const logged = lines.flatMap((line) =>
    line.startsWith('{') ? [JSON.parse(line) as { pid: number; msg: string; route?: string }] : [],
  );
  const servedBy = logged.flatMap(({ pid, route }) => (route === 'POST /v1/events' ? [pid] : []));
  expect(new Set(servedBy)).toEqual(new Set(childrenOf(child)));

  for (let times = 0; times < 2 * count; times += 1) {
    const samples = await readMetrics();
    const of = (name: string) => sumOf(samples, name);
    expect(of('fltr_events_accepted_total')).toBe(events);
    expect(of('fltr_attempts_total')).toBe(events);
    expect(of('fltr_attempt_duration_seconds_count')).toBe(events);
    expect(of('fltr_processes')).toBe(count);
    expect(of('fltr_postgresql_connections_max')).toBe(20 * count);
    // The state that all of them see is not added up.
    expect([of('fltr_postgresql_up'), of('fltr_backlog_max_deliveries')]).toEqual([1, 1_000_000]);
  }

  // The sign-in link is good once.
  const token = /#token=(\S+)/.exec(child.output())?.[1];
  const headers = { 'x-fltr-dashboard': '1' };
  const signIn = () =>
    callOn(`${service.apiUrl}/session`, null, { method: 'POST', body: { token }, headers });
  const signedIn = (await atOnce(9, signIn)).map(({ status }) => status).toSorted((a, b) => a - b);
  expect(signedIn).toEqual([200, ...Array.from({ length: 8 }, () => 401)]);

  // A key has as many calls as it would have of one process.
  const key = await service.newKey({ accountId: service.accountId });
  const responses = await atOnce(40, () => callOn(`${service.apiUrl}/v1/webhooks`, key));
  expect(responses.filter(({ status }) => status === 200)).toHaveLength(20);
  expect(responses.filter(({ status }) => status === 429)).toHaveLength(20);
});

test('a connection that a process had not accepted when it was killed is closed, and does not hang', async () => {
  const child = await start();
  const before = childrenOf(child);
  // Each stopped process is passed one connection, and accepts none. The others wait for a free process.
  for (const pid of before) process.kill(pid, 'SIGSTOP');
  const responses = atOnce(count + 2, () =>
    callOn(`${service.apiUrl}/healthz`, null).then(
      ({ status }) => status,
      ({ code }: NodeJS.ErrnoException) => code,
    ),
  );
  await delay(1000);
  for (const pid of before) process.kill(pid, 'SIGKILL');
  const ended = await Promise.race([responses, delay(60_000, 'hangs')]);
  expect(ended).toEqual(Array.from({ length: count + 2 }, () => 'ECONNRESET'));
  await until(
    () => callOn(`${service.apiUrl}/healthz`, null).catch(() => null),
    (response) => response?.status === 200,
  );
});

/** `before`: its processes, while they take events. */
async function startUnderLoad() {
  const child = await start();
  await newWebhook();
  const load = startLoad(service.apiUrl, service.key, () => receiver.requests.length);
  await load.untilMore(60);
  return { child, load, before: childrenOf(child) };
}

test(
  'a process that is killed under load comes back, and all that was accepted is delivered',
  { timeout: 300_000 },
  async () => {
    const { child, load, before } = await startUnderLoad();
    const countedBefore = await read('fltr_events_accepted_total');
    const [killed = 0] = before;
    process.kill(killed, 'SIGKILL');
    await until(
      () => childrenOf(child),
      (pids) => pids.length === count && !pids.includes(killed),
    );
    await until(
      () => read('fltr_processes'),
      (processes) => processes === count,
    );
    await load.untilMore(60);
    const accepted = await load.stop();
    // The connections of the one that died, and requests on their way to it.
    const failed = load.results.filter((result) => result !== 202);
    expect(failed.filter((result) => typeof result === 'number')).toEqual([]);
    expect(failed.length).toBeLessThanOrEqual(6);
    // A counter never falls: the last read counts of the dead process stay.
    expect(await read('fltr_events_accepted_total')).toBeGreaterThanOrEqual(countedBefore + 60);
    await until(countBy, (by) => Object.keys(by).join() === 'delivered');
    const { delivered = 0 } = await countBy();
    expect(delivered).toBeGreaterThanOrEqual(accepted);
    expect(received('webhook-id')).toBe(delivered);
    expect(childrenOf(child).filter((pid) => before.includes(pid))).toHaveLength(count - 1);
    expect(child.output()).toMatch(/"how":"SIGKILL"[^\n]*a process of the service ended by itself/);
  },
);

test(
  'SIGHUP replaces every process under load: no publish fails, nothing is attempted twice',
  { timeout: 300_000 },
  async () => {
    const { child, load, before } = await startUnderLoad();
    child.kill('SIGHUP');
    await until(child.output, (output) => output.includes('every process of the service was replaced'));
    expect(childrenOf(child).filter((pid) => before.includes(pid))).toEqual([]);
    await load.untilMore(60);
    const accepted = await load.stop();
    expect(load.results.filter((result) => result !== 202)).toEqual([]);
    await until(countBy, ({ delivered }) => delivered === accepted);
    const { rows } = await service.pool.query(`select id from deliveries where attempt_count <> 1`);
    expect(rows).toEqual([]);
    expect([received('webhook-id'), received('x-fltr-delivery')]).toEqual([accepted, accepted]);
    expect(receiver.requests).toHaveLength(accepted);
    // The counts of the replaced processes are in the sum.
    expect(await read('fltr_events_accepted_total')).toBe(accepted);
    expect(await read('fltr_processes')).toBe(count);
  },
);

test('a process that dies while its successor starts is replaced once', async () => {
  const child = await start();
  const before = childrenOf(child);
  child.kill('SIGHUP');
  await until(
    () => childrenOf(child),
    (pids) => pids.length === count + 1,
  );
  process.kill(before[0] ?? 0, 'SIGKILL');
  await until(child.output, (output) => output.includes('every process of the service was replaced'));
  expect(child.output()).toContain('a process of the service ended by itself');
  expect(childrenOf(child)).toHaveLength(count);
  expect(childrenOf(child).filter((pid) => before.includes(pid))).toEqual([]);
});

test('where a new process cannot start, SIGHUP leaves the others as they are', async () => {
  const file = join(service.dataDir, 'keys');
  writeFileSync(file, `one:${randomBytes(32).toString('base64')}`);
  const child = await start({ FLTR_ENCRYPTION_KEYS_FILE: file });
  const before = childrenOf(child);
  writeFileSync(file, 'none');
  child.kill('SIGHUP');
  await until(child.output, (output) => output.includes('the restart stopped'));
  expect(child.output()).toContain('FLTR_ENCRYPTION_KEYS must be id:base64');
  await until(
    () => childrenOf(child),
    (pids) => pids.length === count,
  );
  expect(childrenOf(child)).toEqual(before);
  await newWebhook();
  child.kill('SIGTERM');
  expect(await child.exited()).toBe(0);
});

test('a start that cannot succeed ends with its error, once', async () => {
  await start({ FLTR_ENCRYPTION_KEYS: `one:${randomBytes(32).toString('base64')}` });
  await newWebhook();
  const [first] = running;
  // The port, before anything is started; the keys, before a process is.
  const taken = startProcess(['up'], { ...service.env, FLTR_PROCESSES: String(count) });
  running.push(taken);
  expect(await taken.exited()).toBe(1);
  expect(taken.output()).toContain(`is already in use. Set PORT to a free port`);
  first?.kill('SIGTERM');
  expect(await first?.exited()).toBe(0);
  const wrong = startProcess(['up'], {
    ...service.env,
    FLTR_PROCESSES: String(count),
    FLTR_ENCRYPTION_KEYS: `two:${randomBytes(32).toString('base64')}`,
  });
  running.push(wrong);
  expect(await wrong.exited()).toBe(1);
  expect(wrong.output().match(/FLTR_ENCRYPTION_KEYS/g)).toHaveLength(1);
  expect(wrong.output()).not.toContain('    at ');
});

test('no process outlives a killed supervisor, and the next start has the port', async () => {
  const child = await start();
  const children = childrenOf(child);
  child.kill('SIGKILL');
  await child.exited();
  await until(
    () => children.filter(isAlive),
    (alive) => alive.length === 0,
    5000,
  );
  await start();
  await newWebhook();
});
