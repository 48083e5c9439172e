import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';
import { startTemporalProxy, type TemporalProxy } from '../kit/temporal-proxy.ts';

const folder = mkdtempSync(join(tmpdir(), 'fltr-tls-'));
const path = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(path(name));
/** The proxy listens on 127.0.0.1; its certificate says this, as behind a private link. */
const serverName = 'temporal.example';
const apiKey = 'the-key-of-the-namespace';

const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
function makeAuthority(name: string): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.crt`,
  );
}
function makeCertificate(name: string, authority: string, extensions: string): void {
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
  );
  writeFileSync(path(`${name}.ext`), extensions);
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${authority}.crt`,
    '-CAkey',
    `${authority}.key`,
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.crt`,
  );
}

beforeAll(() => {
  makeAuthority('authority');
  makeAuthority('another-authority');
  makeCertificate('server', 'authority', `subjectAltName=DNS:${serverName}\nextendedKeyUsage=serverAuth\n`);
  makeCertificate('client', 'authority', 'extendedKeyUsage=clientAuth\n');
  makeCertificate('stranger', 'another-authority', 'extendedKeyUsage=clientAuth\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let service: Service;
let receiver: Receiver;
let proxy: TemporalProxy;
let processes: ServiceProcess[];
beforeEach(async () => {
  processes = [];
  [service, receiver, proxy] = await Promise.all([
    startService({}, null),
    startReceiver(),
    startTemporalProxy({
      upstream: inject('temporalAddress'),
      key: read('server.key'),
      cert: read('server.crt'),
      clientCa: read('authority.crt'),
      apiKey,
    }),
  ]);
});
afterEach(async () => {
  await stopAll();
  await proxy.close();
  await receiver.close();
  await service.stop();
});

const right = () => ({
  LOG_LEVEL: 'info',
  TEMPORAL_ADDRESS: proxy.address,
  TEMPORAL_API_KEY: apiKey,
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: path('authority.crt'),
  TEMPORAL_TLS_SERVER_NAME: serverName,
  TEMPORAL_TLS_CLIENT_CERT_PATH: path('client.crt'),
  TEMPORAL_TLS_CLIENT_KEY_PATH: path('client.key'),
});

type Role = 'up' | 'api' | 'worker';

/** As processes of their own; the API is the first one. */
async function start(roles: Role[], settings: Record<string, string>): Promise<void> {
  const env = { ...service.env, ...right(), ...settings };
  processes = roles.map((role) => startProcess([role], env));
  const [child] = processes;
  if (!child) return;
  await untilReady(service.apiUrl, child);
}

async function stopAll(): Promise<void> {
  for (const child of processes) child.kill('SIGTERM');
  const codes = await Promise.all(processes.map((child) => child.exited()));
  expect(codes).toEqual(processes.map(() => 0));
  processes = [];
}

const statusOf = async (id: string) =>
  (await service.call<{ status: string }>('GET', `/v1/deliveries/${id}`)).body.status;

test('over TLS, with a client certificate and an API key, an event is delivered', async () => {
  await start(['api', 'worker'], {});
  await service.newWebhook(receiver.url);
  const { deliveries } = await service.publish();
  const id = deliveries[0]?.id ?? '';
  await until(
    () => statusOf(id),
    (status) => status === 'delivered',
  );
  const { status, workflow } = (
    await service.call<{ status: string; workflow: { id: string } }>('GET', `/v1/deliveries/${id}`)
  ).body;
  expect({ status, id: workflow.id }).toEqual({ status: 'delivered', id });
  // Every call, of the client and of the worker.
  expect(new Set(proxy.calls.map(({ authorization }) => authorization))).toEqual(
    new Set([`Bearer ${apiKey}`]),
  );
  expect(new Set(proxy.calls.map(({ client }) => client))).toEqual(new Set(['client']));
  // The delivery is recorded before its workflow's task is.
  const methods = await until(
    () => new Set(proxy.calls.map((call) => call.path.split('/').at(-1))),
    (called) => called.has('RespondWorkflowTaskCompleted'),
  );
  expect(methods).toContain('StartWorkflowExecution');
  expect(methods).toContain('PollWorkflowTaskQueue');
  for (const child of processes) expect(child.output()).not.toContain(apiKey);
});

/** Starts with these settings, publishes, waits for the reason in every log, and stops. Returns the delivery's id. */
async function publishWith(roles: Role[], settings: Record<string, string>, reason: RegExp): Promise<string> {
  await start(roles, settings);
  await service.newWebhook(receiver.url);
  const { deliveries } = await service.publish();
  const id = deliveries[0]?.id ?? '';
  for (const child of processes) await until(child.output, (log) => reason.test(log));
  expect(await statusOf(id)).toBe('pending');
  for (const child of processes) expect(child.output()).not.toContain(settings['TEMPORAL_API_KEY'] ?? apiKey);
  // They end when they are stopped, though Temporal was never up.
  await stopAll();
  return id;
}

test.each([
  [
    'an authority that did not sign the server',
    { TEMPORAL_TLS_SERVER_CA_CERT_PATH: path('another-authority.crt') },
    /the TLS connection to Temporal fails \([^)]*self-signed certificate[^)]*\): check TEMPORAL_TLS_/,
  ],
  [
    'a wrong API key',
    { TEMPORAL_API_KEY: 'a-key-of-nobody' },
    /Temporal does not let us in \(16 UNAUTHENTICATED: invalid API key\): check TEMPORAL_API_KEY/,
  ],
])(
  'with %s the log names the fault, and the event is delivered once that is fixed',
  async (_, settings: Record<string, string>, reason) => {
    const id = await publishWith(['api', 'worker'], settings, reason);
    await start(['up'], {});
    await until(
      () => statusOf(id),
      (status) => status === 'delivered',
    );
    expect(receiver.requests).toHaveLength(1);
  },
);

test.each([
  [
    'another host name',
    { TEMPORAL_TLS_SERVER_NAME: 'other.example' },
    /the TLS connection to Temporal fails \([^)]*altnames[^)]*\): check TEMPORAL_TLS_/,
  ],
  [
    'a client certificate that the server does not accept',
    {
      TEMPORAL_TLS_CLIENT_CERT_PATH: path('stranger.crt'),
      TEMPORAL_TLS_CLIENT_KEY_PATH: path('stranger.key'),
    },
    /Is the client certificate refused\?|the TLS connection to Temporal fails/,
  ],
])('with %s the log names the fault', async (_, settings: Record<string, string>, reason) => {
  await publishWith(['api'], settings, reason);
  expect(proxy.calls).toEqual([]);
});
