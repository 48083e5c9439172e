import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { test } from 'vitest';
import { publishOne, waitForStatus, workflowStatus } from './kit/delivery.ts';
import { startReceiver } from './kit/receiver.ts';
import { startService, type Service } from './kit/service.ts';

// Run by hand: FLTR_RECORD_HISTORIES=1 npx vitest run --config test/vitest.config.ts
const folder = join(import.meta.dirname, 'histories');

type Scene = { answers: number[]; play: (service: Service, id: string, webhookId: string) => Promise<void> };
const post = (service: Service, id: string, what: string) =>
  service.call('POST', `/v1/deliveries/${id}/${what}`);

/** Each kind of delivery, as it is recorded. */
const scenes: Record<string, Scene> = {
  delivered: { answers: [200], play: async () => undefined },
  retried: { answers: [503, 200], play: async () => undefined },
  'failed-client-error': { answers: [404], play: async () => undefined },
  'failed-retries-exhausted': {
    answers: [503],
    async play(service, id) {
      await waitForStatus(service, id, 'retrying', 2);
      await post(service, id, 'retry');
    },
  },
  canceled: {
    answers: [503],
    async play(service, id) {
      await waitForStatus(service, id, 'retrying', 2);
      await post(service, id, 'cancel');
    },
  },
  'canceled-in-temporal': {
    answers: [503],
    async play(service, id) {
      await waitForStatus(service, id, 'retrying', 2);
      await service.temporal.client.workflow.getHandle(id).cancel();
    },
  },
  held: {
    answers: [503],
    async play(service, id, webhookId) {
      await waitForStatus(service, id, 'retrying', 2);
      await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
    },
  },
  released: {
    answers: [503, 503, 200],
    async play(service, id, webhookId) {
      await waitForStatus(service, id, 'retrying', 2);
      await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
      await workflowStatus(service, id);
      await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: true });
      await waitForStatus(service, id, 'delivered');
    },
  },
};

// What was recorded is never recorded again: a change of the workflow must go on replaying it.
test('record one history of each kind', { timeout: 180_000 }, async () => {
  const service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1,600' });
  mkdirSync(folder, { recursive: true });
  for (const [name, { answers, play }] of Object.entries(scenes)) {
    if (existsSync(join(folder, `${name}.binpb`))) continue;
    const receiver = await startReceiver((_request, response, all) => {
      response.writeHead(answers[all.length - 1] ?? answers.at(-1) ?? 200).end();
    });
    const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
    const id = await publishOne(service);
    await play(service, id, webhookId);
    await workflowStatus(service, id);
    const history = await service.temporal.client.workflow.getHandle(id).fetchHistory();
    writeFileSync(
      join(folder, `${name}.binpb`),
      proto.temporal.api.history.v1.History.encode(history).finish(),
    );
    await service.call('DELETE', `/v1/webhooks/${webhookId}`);
    await receiver.close();
  }
  await service.stop();
});
