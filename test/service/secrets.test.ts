import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let processes: ServiceProcess[];
beforeAll(async () => {
  receiver = await startReceiver((request, response) => {
    response
      .writeHead(request.path.includes('broken') ? 503 : request.path.includes('refuses') ? 404 : 200)
      .end();
  });
  service = await startService({ LOG_LEVEL: 'debug', FLTR_RETRY_SCHEDULE_SECONDS: '1' }, null);
  processes = ['api', 'worker'].map((command) => startProcess([command], service.env));
  await untilReady(service.apiUrl);
});
afterAll(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.map((child) => child.exited()));
  await service.stop();
  await receiver.close();
});

test('no secret, key, payload or URL is in a log line, a history, a search attribute or a list', async () => {
  const payload = 'payload-that-must-stay-inside';
  const secrets: string[] = [];
  const webhooks: string[] = [];
  for (const path of ['/fine-url-path', '/broken-url-path', '/refuses-url-path']) {
    const made = await service.newWebhook(receiver.url + path);
    secrets.push(made.secret);
    webhooks.push(made.webhook_id);
  }
  const event = {
    event: 'document.uploaded',
    data: { document_id: 'doc_1', dataset_id: 'ds_1', metadata: { note: payload } },
  };
  const { deliveries } = await service.publish(event);
  for (const [webhookId, status] of [
    [webhooks[0], 'delivered'],
    [webhooks[1], 'failed'],
    [webhooks[2], 'failed'],
  ] as const) {
    await waitForStatus(
      service,
      deliveries.find((delivery) => delivery.webhook_id === webhookId)?.id ?? '',
      status,
    );
  }
  const fine = deliveries.find((delivery) => delivery.webhook_id === webhooks[0])?.id ?? '';
  // Errors are logged as well: a body that is no JSON, a wrong key, a URL that is refused.
  await service.call('POST', '/v1/events', `{"${payload}`);
  await service.call('POST', '/v1/webhooks', { url: 'https://10.0.0.1/fine-url-path', events: ['*'] });
  await service.call('POST', '/v1/webhooks/test', { webhook_id: webhooks[1], event: 'document.deleted' });
  await service.call('POST', `/v1/deliveries/${fine}/retry?force=true`);
  await waitForStatus(service, fine, 'delivered', 2);
  for (const child of processes) child.kill('SIGTERM');
  await Promise.all(processes.map((child) => child.exited()));

  const needles = {
    key: service.key,
    encryption: readFileSync(join(service.dataDir, 'encryption-key'), 'utf8').trim(),
    payload,
    url: 'url-path',
    ...Object.fromEntries(
      secrets.flatMap((secret, index) => [
        [`secret ${index}`, secret],
        [`decoded ${index}`, secret.slice(6)],
      ]),
    ),
  };
  const find = (where: string, text: string) => {
    for (const [name, needle] of Object.entries(needles)) {
      if (text.includes(needle))
        throw new Error(
          `${name} is in ${where}: …${text.slice(Math.max(0, text.indexOf(needle) - 200), text.indexOf(needle) + 50)}`,
        );
    }
  };
  const logs = processes.map((child) => child.output()).join('\n');
  expect(logs).toContain('POST /v1/events');
  find('the logs', logs);

  const { client } = service.temporal;
  for (const { id } of deliveries) {
    const handle = client.workflow.getHandle(id);
    const { events } = await handle.fetchHistory();
    expect(events?.length).toBeGreaterThan(5);
    // Payloads are base64 or bytes in a history: look at them decoded.
    const readable = JSON.stringify(events, (_name, value: unknown) =>
      value instanceof Uint8Array ||
      (typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'Buffer')
        ? Buffer.from((value as { data?: number[] }).data ?? (value as Uint8Array)).toString()
        : value,
    );
    expect(readable).toContain(id);
    find('a history', readable);
    const { searchAttributes, memo } = await handle.describe();
    find('search attributes or memo', JSON.stringify([searchAttributes, memo]));
  }
  const { rows } = await service.pool.query<{ row: string }>(
    `select webhooks::text as row from webhooks union all select audit_records::text from audit_records`,
  );
  for (const secret of secrets) expect(rows.map(({ row }) => row).join()).not.toContain(secret.slice(6));
});
