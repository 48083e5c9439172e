import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { copyDatabase } from '../kit/database.ts';
import { blocksOf } from '../kit/guides.ts';
import { createNamespace } from '../kit/namespace.ts';
import { startProcess } from '../kit/process.ts';
import { startReceiver } from '../kit/test-receiver.ts';
import { call, startService, until, untilReady } from '../kit/service.ts';

// docs/operating.md: PostgreSQL alone is enough; Temporal's data is made again from it.
test('a restored database and an empty namespace: waiting deliveries are delivered, delivered ones are not sent again', async () => {
  let status = 200;
  const receiver = await startReceiver((_request, response) => response.writeHead(status).end());
  onTestFinished(() => receiver.close());
  const settings = {
    FLTR_RETRY_SCHEDULE_SECONDS: '4,4,4',
    FLTR_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  };
  const service = await startService(settings);
  onTestFinished(() => service.stop());
  const { secret } = await service.newWebhook(receiver.url);
  const publish = (id: string) => service.publish({ id, timestamp: '2026-01-10T12:00:00Z' });
  const statusOf = (id: string) => async () =>
    (await service.call<Delivery>('GET', `/v1/deliveries/${id}`)).body.status;
  const delivered = await publish('evt_before');
  await until(statusOf(delivered.deliveries[0]?.id ?? ''), (found) => found === 'delivered');
  status = 503;
  const id = (await publish('evt_waits')).deliveries[0]?.id ?? '';
  await until(statusOf(id), (found) => found === 'retrying');
  await service.stopApp();

  const copy = await copyDatabase(service.databaseUrl);
  onTestFinished(() => copy.drop());
  status = 200;
  const { text } = blocksOf('docs/operating.md').find((block) => block.text.startsWith('update ')) ?? {
    text: '',
  };
  expect((await copy.pool.query(text)).rowCount).toBe(1);
  const namespace = await createNamespace();
  onTestFinished(() => namespace.connection.close());
  const port = await reservePort();
  const restored = startProcess(['up'], {
    ...service.env,
    PORT: String(port),
    DATABASE_URL: copy.url,
    TEMPORAL_NAMESPACE: namespace.namespace,
  });
  onTestFinished(async () => {
    restored.kill('SIGTERM');
    await restored.exited();
  });
  const apiUrl = `http://127.0.0.1:${port}`;
  await untilReady(apiUrl);
  const onRestored = <T>(method: string, path: string, body?: unknown) =>
    call<T>(apiUrl, service.key, method, path, body);
  const delivery = await until(
    async () => (await onRestored<Delivery>('GET', `/v1/deliveries/${id}`)).body,
    (found) => found.status === 'delivered',
  );
  expect(delivery.attempts.map(({ number, status_code: code }) => [number, code])).toEqual([
    [1, 503],
    [2, 200],
  ]);
  const sent = receiver.requests.map(({ headers }) => headers['webhook-id']);
  expect(sent).toEqual(['evt_before', 'evt_waits', 'evt_waits']);
  // The secret is readable under the same encryption keys, and the event's id is still known.
  const [webhook] = (await onRestored<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks')).body.data;
  const { body } = await onRestored<{ secret: string }>('GET', `/v1/webhooks/${webhook?.webhook_id}/secret`);
  expect(body.secret).toBe(secret);
  const again = await onRestored<{ duplicate: boolean }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
    id: 'evt_before',
    timestamp: '2026-01-10T12:00:00Z',
  });
  expect(again.body.duplicate).toBe(true);
});
