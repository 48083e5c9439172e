import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { eventTypeExamples, builtInEventTypes } from '../../src/contracts/event-types.ts';
import { newSecret, signBody, signStandard } from '../../src/domain/signature.ts';
import { packageRoot } from '../../src/package-root.ts';
import { onlyBlock } from '../kit/guides.ts';
import { call, startService, until, type Service } from '../kit/service.ts';

const run = promisify(execFile);
const examples = join(packageRoot, 'examples');
const prepareTimeoutMs = 300_000;

type Command = { command: string; args: string[]; cwd: string };
type Example = [name: string, prepare: (temporaryFolder: string) => Promise<Command>];

/** Runs a tool that an example needs. @throws Error that names the missing one */
async function tool(command: string, args: string[], cwd: string, env = process.env): Promise<string> {
  try {
    return (await run(command, args, { cwd, env, timeout: prepareTimeoutMs })).stdout.trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(`\`${command}\` is not on PATH: this example cannot be tested without it`, {
      cause: error,
    });
  }
}

const all: Example[] = [
  [
    'flask',
    async () => {
      const cwd = join(examples, 'flask');
      return { command: await tool(process.execPath, ['venv.mjs'], cwd), args: ['app.py'], cwd };
    },
  ],
  [
    'express',
    async () => ({ command: process.execPath, args: ['server.mjs'], cwd: join(examples, 'express') }),
  ],
  [
    'go',
    async (temporaryFolder) => {
      const cwd = join(examples, 'go');
      const command = join(temporaryFolder, process.platform === 'win32' ? 'receiver.exe' : 'receiver');
      const env = { ...process.env, GOFLAGS: '-mod=mod -buildvcs=false' };
      await tool('go', ['build', '-o', command, '.'], cwd, env);
      return { command, args: [], cwd };
    },
  ],
  [
    'guide in Python',
    async (folder) => ({
      command: 'python3',
      args: [fromGuide(folder, 'python', 'receiver.py')],
      cwd: folder,
    }),
  ],
  [
    'guide in Node',
    async (folder) => ({
      command: process.execPath,
      args: [fromGuide(folder, 'js', 'receiver.mjs')],
      cwd: folder,
    }),
  ],
  [
    'guide in Go',
    async (folder) => {
      const command = join(folder, 'guide-receiver');
      // `go run` would build and run it, too, but not pass a signal on.
      await tool('go', ['build', '-o', command, fromGuide(folder, 'go', 'main.go')], folder);
      return { command, args: [], cwd: folder };
    },
  ],
];

/** The program of docs/receiving.md in that language, as a file. */
function fromGuide(folder: string, language: string, name: string): string {
  const path = join(folder, name);
  writeFileSync(path, onlyBlock('docs/receiving.md', language));
  return path;
}

type Running = { lines: string[]; stop(): Promise<void> };

/** The example as a process of its own, once it responds on its port. */
async function startExample({ command, args, cwd }: Command, secret: string, port: number): Promise<Running> {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, WEBHOOK_SECRET: secret, PORT: String(port), PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { text: '', errors: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.errors += chunk.toString()));
  child.on('error', (error) => (output.errors += error.message));
  const responses = async () => {
    if (child.exitCode !== null) throw new Error(`The example ended by itself: ${output.errors}`);
    return fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5000) }).then(
      () => true,
      () => false,
    );
  };
  await until(responses, Boolean, 60_000);
  return {
    get lines() {
      return output.text.split('\n').filter((line) => /^(document|dataset)\./.test(line));
    },
    stop: () => stopProcess(child),
  };
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await exited;
  clearTimeout(timer);
}

let service: Service;
let temporaryFolder: string;
beforeAll(async () => {
  temporaryFolder = mkdtempSync(join(tmpdir(), 'fltr-examples-'));
  service = await startService();
});
afterAll(async () => {
  await service.stop();
  rmSync(temporaryFolder, { recursive: true, force: true });
});

describe.each(all)('the %s receiver', (_name, prepare) => {
  let key: string;
  let webhook: { webhook_id: string; secret: string };
  let origin: string;
  let example: Running;
  const api = <T>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  const newWebhook = async (events: string[]) => {
    const response = await api<{ webhook_id: string; secret: string }>('POST', '/v1/webhooks', {
      url: `${origin}/webhooks/fltr`,
      events,
    });
    expect(response.status).toBe(201);
    return response.body;
  };
  const publish = async (event: unknown) => {
    const response = await api<{ id: string; deliveries: { id: string }[] }>('POST', '/v1/events', event);
    expect(response.status).toBe(202);
    return response.body;
  };
  const readDelivery = async (id = '') => (await api<Delivery>('GET', `/v1/deliveries/${id}`)).body;
  const untilEnded = (id = '') =>
    until(
      () => readDelivery(id),
      ({ ended_at: endedAt }) => endedAt !== null,
    );
  const post = async (path: string, headers: Record<string, string>, body: string) => {
    const signal = AbortSignal.timeout(10_000);
    const contentType = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers: { ...contentType, ...headers }, body, signal };
    return (await fetch(`${origin}${path}`, init)).status;
  };

  beforeAll(async () => {
    ({ key } = await service.newAccount());
    const port = await reservePort();
    origin = `http://localhost:${port}`;
    const command = await prepare(temporaryFolder);
    webhook = await newWebhook(['*']);
    example = await startExample(command, webhook.secret, port);
  }, prepareTimeoutMs);
  afterAll(() => example?.stop());

  it('verifies and processes all seven event types', async () => {
    const published = await Promise.all(
      builtInEventTypes.map(async (event) => ({ event, ...(await publish({ event, ...exampleOf(event) })) })),
    );
    for (const { event, id, deliveries } of published) {
      expect(deliveries).toHaveLength(1);
      const delivery = await untilEnded(deliveries[0]?.id);
      expect(delivery).toMatchObject({ status: 'delivered', event, event_id: id });
      expect(delivery.attempts.map((attempt) => attempt.status_code)).toEqual([200]);
    }
    const lines = await until(
      () => example.lines,
      ({ length }) => length >= 7,
    );
    expect([...lines].sort()).toEqual(published.map(({ event, id }) => `${event} ${id} processed`).sort());
  });

  it('processes an event once, however often it is sent', async () => {
    const { id, deliveries } = await publish({
      event: 'document.deleted',
      ...exampleOf('document.deleted'),
    });
    const deliveryId = deliveries[0]?.id;
    await untilEnded(deliveryId);
    const retried = await api('POST', `/v1/deliveries/${deliveryId}/retry?force=true`);
    expect(retried.status).toBe(202);
    const again = await until(
      () => readDelivery(deliveryId),
      ({ attempts, ended_at: endedAt }) => attempts.length === 2 && endedAt !== null,
    );
    expect(again.status).toBe('delivered');
    expect(again.attempts.map((attempt) => attempt.status_code)).toEqual([200, 200]);
    const ofEvent = () => example.lines.filter((line) => line.includes(id));
    await until(ofEvent, ({ length }) => length >= 2);
    expect(ofEvent()).toEqual([
      `document.deleted ${id} processed`,
      `document.deleted ${id} duplicate, ignored`,
    ]);
  });

  it('responds with 401 to a delivery that another secret signed, which ends it', async () => {
    const other = await newWebhook(['dataset.deleted']);
    const { deliveries } = await publish({ event: 'dataset.deleted', ...exampleOf('dataset.deleted') });
    const ended = await Promise.all(deliveries.map((delivery) => untilEnded(delivery.id)));
    await api('DELETE', `/v1/webhooks/${other.webhook_id}`);
    const ofWebhook = (id: string) => ended.find((delivery) => delivery.webhook_id === id);
    expect(ofWebhook(webhook.webhook_id)?.status).toBe('delivered');
    const refused = ofWebhook(other.webhook_id);
    expect(refused).toMatchObject({ status: 'failed', reason: 'client_error' });
    expect(refused?.attempts.map((attempt) => attempt.status_code)).toEqual([401]);
  });

  it.each([
    ['missing', () => undefined],
    ['empty', () => ''],
    ['of another secret', (body: string) => signBody(newSecret(), Buffer.from(body))],
    ['of another body', (_body: string, secret: string) => signBody(secret, Buffer.from('{}'))],
    ['cut short', (body: string, secret: string) => signBody(secret, Buffer.from(body)).slice(0, 63)],
    ['no ASCII', () => 'é'.repeat(64)],
  ])('responds with 401 to a signature that is %s', async (_name, sign) => {
    const id = `evt_forged_${crypto.randomUUID()}`;
    const body = JSON.stringify({ id, event: 'document.deleted', timestamp: '2024-01-10T12:05:00Z' });
    const signature = sign(body, webhook.secret);
    const headers: Record<string, string> = signature === undefined ? {} : { 'X-FLTR-Signature': signature };
    expect(await post('/webhooks/fltr', headers, body)).toBe(401);
    expect(example.lines.join()).not.toContain(id);
  });

  it('responds with 400 to a signed body that is no event, and continues', async () => {
    for (const body of ['', 'null', '[]', '{"event":"document.deleted"}', '{"id":1,"event":2}']) {
      const headers = { 'X-FLTR-Signature': signBody(webhook.secret, Buffer.from(body)) };
      expect(await post('/webhooks/fltr', headers, body)).toBe(400);
    }
    const { deliveries } = await publish({ event: 'document.deleted', ...exampleOf('document.deleted') });
    expect((await untilEnded(deliveries[0]?.id)).status).toBe('delivered');
  });

  it('verifies Standard Webhooks headers too, within five minutes', async () => {
    const moved = { url: `${origin}/webhooks/standard` };
    expect((await api('PATCH', `/v1/webhooks/${webhook.webhook_id}`, moved)).status).toBe(200);
    const { id, deliveries } = await publish({
      event: 'dataset.created',
      ...exampleOf('dataset.created'),
    });
    expect((await untilEnded(deliveries[0]?.id)).status).toBe('delivered');
    await until(
      () => example.lines,
      (lines) => lines.includes(`dataset.created ${id} processed`),
    );

    const body = Buffer.from('{"id":"evt_by_hand","event":"document.deleted"}');
    const postSigned = (secret: string, shiftSeconds: number, list = (signature: string) => signature) => {
      const timestamp = Math.floor(Date.now() / 1000) + shiftSeconds;
      const headers = {
        'webhook-id': 'evt_by_hand',
        'webhook-timestamp': String(timestamp),
        'webhook-signature': list(signStandard(secret, 'evt_by_hand', timestamp, body)),
      };
      return post('/webhooks/standard', headers, body.toString());
    };
    const { secret } = webhook;
    expect(await postSigned(secret, 0)).toBe(200);
    expect(await postSigned(secret, -240)).toBe(200);
    expect(await postSigned(secret, 0, (signature) => `v1,AAAA ${signature}`)).toBe(200);
    expect(await postSigned(secret, -360)).toBe(401);
    expect(await postSigned(secret, 360)).toBe(401);
    expect(await postSigned(newSecret(), 0)).toBe(401);
    expect(await postSigned(secret, 0, () => 'no signature')).toBe(401);
    expect(await post('/webhooks/standard', {}, body.toString())).toBe(401);
  });

  it('does not start without a secret', async () => {
    const { command, args, cwd } = await prepare(temporaryFolder);
    const { WEBHOOK_SECRET: _secret, ...env } = process.env;
    const started = run(command, args, { cwd, env: { ...env, PORT: '0' }, timeout: 30_000 });
    await expect(started).rejects.toMatchObject({ stderr: expect.stringContaining('Set WEBHOOK_SECRET') });
  });
});

function exampleOf(type: keyof typeof eventTypeExamples) {
  const { timestamp, data } = eventTypeExamples[type];
  return { timestamp, data };
}
