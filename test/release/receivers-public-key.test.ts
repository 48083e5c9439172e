import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { newSigningKey, signAsymmetric } from '../../src/domain/signing-key.ts';
import { packageRoot } from '../../src/package-root.ts';
import { startService, until, type Service } from '../kit/service.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';

const prepareTimeoutMs = 300_000;
let folder: string;
let service: Service;
let child: ChildProcess;
let origin: string;
let webhookId: string;
let output = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fltr-public-key-'));
  service = await startService();
  const port = await reservePort();
  origin = `http://localhost:${port}`;
  const command = join(folder, 'receiver');
  await promisify(execFile)('go', ['build', '-o', command, '.'], {
    cwd: join(packageRoot, 'examples/public-key'),
    env: { ...process.env, GOFLAGS: '-mod=mod -buildvcs=false' },
    timeout: prepareTimeoutMs,
  });
  const more = { signatures: ['v1', 'v1a'] };
  ({ webhook_id: webhookId } = await service.newWebhook(`${origin}/webhooks/fltr`, more));
  const keys = `${service.apiUrl}/.well-known/jwks.json?webhook_id=${webhookId}`;
  child = spawn(command, { env: { PORT: String(port), WEBHOOK_JWKS_URL: keys } });
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await until(
    () => fetch(origin).then(Boolean, () => false),
    (responds) => responds,
  );
}, prepareTimeoutMs);
afterAll(async () => {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  await service.stop();
  rmSync(folder, { recursive: true, force: true });
});

const published = async () => (await service.publish()).deliveries[0]?.id ?? '';

test('a receiver in Go verifies deliveries with the published key, before, during and after a rotation', async () => {
  await waitForStatus(service, await published(), 'delivered', 1);
  const path = `/v1/webhooks/${webhookId}/rotate-secret`;
  await service.call('POST', path, { overlap_seconds: 600 });
  await waitForStatus(service, await published(), 'delivered', 1);
  // The receiver reads the keys at most once in two seconds.
  await delay(2_000);
  await service.call('POST', `${path}/finish`);
  // It still has the old key, and reads the set again.
  const delivery = await published();
  await waitForStatus(service, delivery, 'delivered', 1);
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { signatures: ['v1a'] });
  await waitForStatus(service, await published(), 'delivered', 1);
  expect(output.match(/^document\.\w+ evt_\w+ verified$/gm)).toHaveLength(4);
});

test('a receiver in Go refuses a request that another key signed, a changed one, and one without v1a', async () => {
  const id = 'evt_forged';
  const body = Buffer.from('{"id":"evt_forged","event":"document.deleted"}');
  const timestamp = Math.floor(Date.now() / 1000);
  const post = async (signature: string, at = timestamp) => {
    const headers = { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': signature };
    return (await fetch(`${origin}/webhooks/fltr`, { method: 'POST', headers, body })).status;
  };
  const forged = signAsymmetric(newSigningKey(), id, timestamp, body);
  for (const signature of [forged, '', 'v1a,', 'v1,AAAA', 'v1a,é'])
    expect([signature, await post(encodeURI(signature))]).toEqual([signature, 401]);
  expect(await post(forged, timestamp - 400)).toBe(401);
  expect(output).not.toContain(id);
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { signatures: ['v1'] });
  const refused = await waitForStatus(service, await published(), 'failed', 1);
  expect(refused.reason).toBe('client_error');
});
