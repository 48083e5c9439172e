import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { test } from 'vitest';
import { taskQueue } from '../workflows/contract.ts';
import { publishOne, readDelivery, waitForStatus, workflowStatus } from './kit/delivery-steps.ts';
import { startReceiver } from './kit/test-receiver.ts';
import { openAccount, waitForDeliveries, type Account } from './kit/recoveries.ts';
import { call, startService, until, type Service } from './kit/service.ts';

// Run by hand: FLTR_RECORD_HISTORIES=1 npx vitest run --config test/vitest.config.ts
const folder = join(import.meta.dirname, 'histories');

type Scene = {
  responses: number[];
  /** The policy of its webhook. */
  policy?: Record<string, unknown>;
  play: (service: Service, id: string, webhookId: string) => Promise<void>;
};
const post = (service: Service, id: string, action: string) =>
  service.call('POST', `/v1/deliveries/${id}/${action}`);

/** Each kind of delivery, as it is recorded. Those with `locally` make the first attempt as a local activity. */
const scenes: Record<string, Scene> = {
  'delivered-locally': { responses: [200], play: async () => undefined },
  'failed-locally': { responses: [404], play: async () => undefined },
  'retried-locally': { responses: [503, 200], play: async () => undefined },
  delivered: { responses: [200], play: async () => undefined },
  retried: { responses: [503, 200], play: async () => undefined },
  'failed-client-error': { responses: [404], play: async () => undefined },
  'failed-retries-exhausted': {
    responses: [503],
    async play(service, id) {
      await waitForStatus(service, id, 'retrying', 2);
      await post(service, id, 'retry');
    },
  },
  canceled: {
    responses: [503],
    async play(service, id) {
      await waitForStatus(service, id, 'retrying', 2);
      await post(service, id, 'cancel');
    },
  },
  'canceled-in-temporal': {
    responses: [503],
    async play(service, id) {
      await waitForStatus(service, id, 'retrying', 2);
      await service.temporal.client.workflow.getHandle(id).cancel();
    },
  },
  held: {
    responses: [503],
    async play(service, id, webhookId) {
      await waitForStatus(service, id, 'retrying', 2);
      await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
    },
  },
  released: {
    responses: [503, 503, 200],
    async play(service, id, webhookId) {
      await waitForStatus(service, id, 'retrying', 2);
      await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
      await workflowStatus(service, id);
      await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: true });
      await waitForStatus(service, id, 'delivered');
    },
  },
  // Its history grows so long that it continues as a new run; the run before is recorded.
  'grown-long': {
    responses: [503],
    async play(service, id) {
      await waitForStatus(service, id, 'retrying', 2);
      const { workflow } = await readDelivery(service, id);
      const handle = service.temporal.client.workflow.getHandle(id);
      const isFirst = async () => (await handle.describe()).runId === workflow.run_id;
      for (let attempt = 0; attempt < 60 && (await isFirst()); attempt += 1) {
        const next_attempt_at = new Date(Date.now() + 3_600_000 + attempt).toISOString();
        await service.call('PATCH', `/v1/deliveries/${id}`, { next_attempt_at });
      }
      await keep(service, 'grown-long', id, workflow.run_id ?? '');
      await post(service, id, 'cancel');
    },
  },
  rescheduled: {
    responses: [503, 200],
    async play(service, id) {
      await waitForStatus(service, id, 'retrying', 1);
      const next_attempt_at = new Date(Date.now() + 3000).toISOString();
      await service.call('PATCH', `/v1/deliveries/${id}`, { next_attempt_at });
      await waitForStatus(service, id, 'delivered', 2);
    },
  },
  'policy-own-schedule': {
    responses: [429, 503, 200],
    policy: { retry: { schedule_seconds: [1, 1, 600], also: ['429'], jitter: 0.2 } },
    play: async (service, id) => void (await waitForStatus(service, id, 'delivered', 3)),
  },
  'policy-never-retries': {
    responses: [503],
    policy: { retry: { preset: 'none' } },
    play: async (service, id) => void (await waitForStatus(service, id, 'failed', 1)),
  },
  'policy-gone': {
    responses: [410],
    policy: { retry: { preset: 'week', on_gone: 'disable' } },
    play: async (service, id) => void (await waitForStatus(service, id, 'failed', 1)),
  },
  // Its first attempt is no local activity.
  'policy-not-shared': {
    responses: [503, 200],
    policy: { timeout_ms: 30_000 },
    play: async (service, id) => void (await waitForStatus(service, id, 'delivered', 2)),
  },
  // It has more retries left than it had at its start, then none.
  'policy-applied': {
    responses: [503],
    policy: { retry: { schedule_seconds: [600] } },
    async play(service, id, webhookId) {
      await waitForStatus(service, id, 'retrying', 1);
      const apply = (schedule_seconds: number[]) =>
        service.call('PATCH', `/v1/webhooks/${webhookId}`, {
          retry: { schedule_seconds },
          apply_to: 'waiting',
        });
      await apply([600, 600, 600]);
      await post(service, id, 'retry');
      await waitForStatus(service, id, 'retrying', 2);
      await apply([]);
      await post(service, id, 'retry');
      await waitForStatus(service, id, 'failed', 3);
    },
  },
  // With a cap of one attempt an hour.
  deferred: {
    responses: [503],
    async play(service, id) {
      await until(
        () => readDelivery(service, id),
        ({ timeline }) => timeline.some((entry) => entry.type === 'wait' && entry.reason === 'hourly_cap'),
      );
      await post(service, id, 'cancel');
    },
  },
  // The recorded delivery is the second: deferred, and woken when the limit is gone.
  'rate-limited': {
    responses: [200],
    async play(service, id, webhookId) {
      await waitForStatus(service, id, 'delivered');
      const limit = (rate_limit: object | null) =>
        service.call('PATCH', `/v1/webhooks/${webhookId}`, { rate_limit });
      await limit({ attempts: 1, seconds: 3600 });
      const second = await publishOne(service);
      await untilDeferred(service, second, 'rate_limit');
      await limit(null);
      await waitForStatus(service, second, 'delivered');
      await workflowStatus(service, second);
      await keep(service, 'rate-limited', second);
    },
  },
  // The same while its webhook is paced: parked, then a probe that fails.
  parked: {
    responses: [200, 503, 200],
    async play(service, id, webhookId) {
      await waitForStatus(service, id, 'delivered');
      const set = async (assignments: string) => {
        await service.pool.query(`update webhooks set ${assignments} where id = $1`, [webhookId]);
        await service.pool.query(`update rate_limit_queues set check_at = now() where webhook_id = $1`, [
          webhookId,
        ]);
      };
      await set(`probe_when_down = true, next_probe_at = now() + interval '1 hour'`);
      const second = await publishOne(service);
      await untilDeferred(service, second, 'down');
      await workflowStatus(service, second);
      await keep(service, 'parked', second);
      await set(`next_probe_at = now()`);
      await waitForStatus(service, second, 'pending', 1);
      await workflowStatus(service, second);
      await keep(service, 'probed', second);
      await set(`next_probe_at = null, ramp_started_at = now()`);
      await waitForStatus(service, second, 'delivered', 2);
    },
  },
};

const untilDeferred = (service: Service, id: string, reason: string) =>
  until(
    () => readDelivery(service, id),
    ({ timeline }) => timeline.some((entry) => entry.type === 'wait' && entry.reason === reason),
  );

/** Each kind of recovery: of 60 events that a webhook missed, hence two pages. */
const recoveryScenes: Record<string, (account: Account, id: string) => Promise<void>> = {
  async 'operation-completed'(account, id) {
    await control(account, id, 'pause', 'paused');
    await control(account, id, 'resume', 'completed');
  },
  async 'operation-canceled'(account, id) {
    await account.waitForRecovery(id, ({ done }) => done > 0);
    await control(account, id, 'pause', 'paused');
    await control(account, id, 'cancel', 'canceled');
  },
};

/** Deliveries of one burst: the group that made their first attempts, and those that continue in workflows of their own. */
async function recordGroup(service: Service): Promise<void> {
  const names = ['group', 'continued-failed', 'continued-retried', 'continued-canceled'];
  if (names.every((name) => existsSync(join(folder, `${name}.binpb`)))) return;
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const receiver = await startReceiver((request, response, all) => {
    const count = all.filter(({ path }) => path === request.path).length;
    const status = { '/0': 404, '/1': 503, '/2': 503 }[request.path] ?? 200;
    const respond = () => response.writeHead(count === 1 ? status : 200).end();
    if (request.path === '/2') void gate.then(respond);
    else respond();
  });
  for (let index = 0; index < 12; index += 1) await service.newWebhook(`${receiver.url}/${index}`);
  const { deliveries } = await service.publish();
  const [failed = '', retried = '', canceled = ''] = deliveries.map(({ id }) => id);
  await until(
    () => receiver.requests.length,
    (count) => count === 12,
  );
  const row = await service.pool.query<{ owner_id: string }>(
    `select owner_id from deliveries where id = $1`,
    [canceled],
  );
  // While the group is under way: it passes the signal on.
  await post(service, canceled, 'cancel');
  release();
  await waitForStatus(service, failed, 'failed');
  await waitForStatus(service, retried, 'delivered');
  await waitForStatus(service, canceled, 'canceled');
  await keep(service, 'group', row.rows[0]?.owner_id ?? '');
  await keep(service, 'continued-failed', failed);
  await keep(service, 'continued-retried', retried);
  await keep(service, 'continued-canceled', canceled);
  for (const { webhook_id: id } of deliveries) await service.call('DELETE', `/v1/webhooks/${id}`);
  await receiver.close();
}

/** Two pages of an operation on deliveries that failed. */
async function recordOperation(service: Service): Promise<void> {
  if (existsSync(join(folder, 'operation-retry.binpb'))) return;
  const receiver = await startReceiver((_request, response) => {
    response.writeHead(404).end();
  });
  const account = await openAccount(service);
  await account.newWebhook(receiver.url);
  await account.publish(4);
  await waitForDeliveries(service, account.accountId, 'failed', 4);
  const filter = { since: '2020-01-01T00:00:00Z' };
  const { body } = await account.call<{ id: string }>('POST', '/v1/deliveries/actions', {
    action: 'retry',
    filter,
    per_second: 2,
  });
  await workflowStatus(service, body.id);
  await keep(service, 'operation-retry', body.id);
  await receiver.close();
}

/** An account with deliveries that wait. The time that late statements have is over early. */
async function recordDeletion(service: Service): Promise<void> {
  if (existsSync(join(folder, 'account-deleted.binpb'))) return;
  const account = await openAccount(service);
  await account.newWebhook('http://localhost:1', { active: false });
  await account.publish(700);
  const key = await service.newKey({ accountId: null });
  const path = `/v1/accounts/${account.accountId}`;
  await call(service.apiUrl, key, 'DELETE', path);
  await until(
    async () => {
      await service.pool.query(
        `update accounts set deletion_requested_at = now() - interval '2 minutes'
         where id = $1 and erased_events = 700`,
        [account.accountId],
      );
      await service.pool.query(
        `update webhooks set sync_at = now(), sync_until = now() where account_id = $1 and sync_until > now()`,
        [account.accountId],
      );
      return (await call(service.apiUrl, key, 'GET', path)).status;
    },
    (status) => status === 404,
  );
  await keep(service, 'account-deleted', `delete_account_${account.accountId}`);
}

async function control(account: Account, id: string, signal: string, status: string): Promise<void> {
  await account.call('POST', `/v1/recoveries/${id}/${signal}`);
  await account.waitForRecovery(id, (recovery) => recovery.status === status);
}

async function keep(service: Service, name: string, workflowId: string, runId?: string): Promise<void> {
  const history = await service.temporal.client.workflow.getHandle(workflowId, runId).fetchHistory();
  writeFileSync(
    join(folder, `${name}.binpb`),
    proto.temporal.api.history.v1.History.encode(withoutMachine(history)).finish(),
  );
}

/** Without the names of the machine that recorded it: process identities, queues named after them, paths in stack traces. */
function withoutMachine<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const [name, child] of Object.entries(value)) {
    if (name === 'identity' || name === 'stackTrace' || (typeof child === 'string' && /^\d+@/.test(child))) {
      (value as Record<string, unknown>)[name] = '';
    } else withoutMachine(child);
  }
  return value;
}

// A recorded history is never recorded again: a changed workflow must still replay it.
test('record one history of each kind', { timeout: 180_000 }, async () => {
  const usual = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1,600' });
  const capped = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1,600', FLTR_DELIVERIES_PER_HOUR: '1' });
  mkdirSync(folder, { recursive: true });
  for (const [name, { responses, policy, play }] of Object.entries(scenes)) {
    if (existsSync(join(folder, `${name}.binpb`))) continue;
    const service = name === 'deferred' ? capped : usual;
    const receiver = await startReceiver((_request, response, all) => {
      response.writeHead(responses[all.length - 1] ?? responses.at(-1) ?? 200).end();
    });
    const { webhook_id: webhookId } = await service.newWebhook(receiver.url, policy);
    const id = await publishOne(service);
    await play(service, id, webhookId);
    await workflowStatus(service, id);
    if (!existsSync(join(folder, `${name}.binpb`))) await keep(service, name, id);
    await service.call('DELETE', `/v1/webhooks/${webhookId}`);
    await receiver.close();
  }
  await recordGroup(usual);
  await recordOperation(usual);
  for (const [name, play] of Object.entries(recoveryScenes)) {
    if (existsSync(join(folder, `${name}.binpb`))) continue;
    const receiver = await startReceiver();
    const account = await openAccount(usual);
    await account.publish(60);
    const webhookId = await account.newWebhook(receiver.url);
    const { body } = await account.recover(webhookId, { since: '2020-01-01T00:00:00Z' });
    await play(account, body.id);
    await workflowStatus(usual, body.id);
    await keep(usual, name, body.id);
    await receiver.close();
  }
  if (!existsSync(join(folder, 'old-rows-removed.binpb'))) {
    const args = [{ step: null, removed: 0 }];
    await usual.temporal.client.workflow.execute('removeOldRows', {
      taskQueue,
      workflowId: 'removal',
      args,
    });
    await keep(usual, 'old-rows-removed', 'removal');
  }
  await recordDeletion(usual);
  await Promise.all([usual.stop(), capped.stop()]);
});
