import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { openClient } from '../kit/database-client.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let service: Service;
let child: ServiceProcess;
beforeEach(async () => {
  service = await startService({ LOG_LEVEL: 'warn' }, null);
  await start();
});
afterEach(async () => {
  child.kill('SIGKILL');
  await child.exited();
  await service.stop();
});

async function start(): Promise<void> {
  child = startProcess(['up'], service.env);
  await untilReady(service.apiUrl, child);
}
async function kill(): Promise<void> {
  child.kill('SIGKILL');
  await child.exited();
}
async function respondWith(status: number, headers: Record<string, string> = {}): Promise<Receiver> {
  const receiver = await startReceiver((_request, response) => response.writeHead(status, headers).end());
  onTestFinished(() => receiver.close());
  return receiver;
}
const firstOf = async () => (await service.publish()).deliveries[0]?.id ?? '';
const waitsOf = async (id: string) =>
  (
    await service.pool.query<{ seconds: number | null }>(
      `select wait_seconds as seconds from attempts where delivery_id = $1 order by number`,
      [id],
    )
  ).rows.map(({ seconds }) => seconds);

test('after kill -9 a delivery continues with its own schedule, and with one that was applied to it', async () => {
  const receiver = await respondWith(503);
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url, {
    retry: { schedule_seconds: [3, 500], jitter: 0 },
  });
  const id = await firstOf();
  await waitForStatus(service, id, 'retrying', 1);
  await kill();
  await start();
  await waitForStatus(service, id, 'retrying', 2);
  expect(await waitsOf(id)).toEqual([3, 500]);
  const [first, second] = receiver.requests;
  expect((second?.at.getTime() ?? 0) - (first?.at.getTime() ?? 0)).toBeGreaterThanOrEqual(3000);
  const retry = { schedule_seconds: [1, 1, 600, 700] };
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { retry, apply_to: 'waiting' });
  await kill();
  await start();
  await service.call('POST', `/v1/deliveries/${id}/retry`);
  await waitForStatus(service, id, 'retrying', 3);
  expect(await waitsOf(id)).toEqual([3, 500, 600]);
});

test('kill -9 between the record of a 410 and the end of its webhook: it is disabled once, after the start', async () => {
  const receiver = await respondWith(410);
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url, {
    retry: { preset: 'day', on_gone: 'disable' },
  });
  // Disabling waits for this lock.
  const client = await openClient(service.databaseUrl);
  await client.query('begin');
  await client.query(`select 1 from webhooks where id = $1 for update`, [webhookId]);
  const id = await firstOf();
  await until(
    async () => (await service.pool.query(`select 1 from attempts where delivery_id = $1`, [id])).rowCount,
    (count) => count === 1,
  );
  await until(
    async () =>
      (
        await service.pool.query(
          `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
        )
      ).rowCount,
    (count) => count !== null && count > 0,
  );
  await kill();
  await client.query('rollback');
  await client.end();
  const isActive = async () =>
    (await service.pool.query<{ active: boolean }>(`select active from webhooks where id = $1`, [webhookId]))
      .rows[0]?.active;
  // The transaction of the killed process is rolled back.
  await until(
    async () =>
      (
        await service.pool.query(
          `select 1 from pg_stat_activity where query like '%for update of w%' and state <> 'idle'
             and datname = current_database() and pid <> pg_backend_pid()`,
        )
      ).rowCount,
    (count) => count === 0,
  );
  await start();
  await until(isActive, (active) => active === false);
  await waitForStatus(service, id, 'failed', 1);
  expect(receiver.requests).toHaveLength(1);
  const audit = await service.pool.query(
    `select 1 from audit_records where target = $1 and action = 'webhook.disabled'`,
    [webhookId],
  );
  expect(audit.rowCount).toBe(1);
});

test("a receiver's Retry-After on a 429 holds after kill -9, for new deliveries, too", async () => {
  const receiver = await respondWith(429, { 'retry-after': '20' });
  await service.newWebhook(receiver.url, { retry: { schedule_seconds: [1, 600], also: ['429'] } });
  const first = await firstOf();
  await waitForStatus(service, first, 'retrying', 1);
  await kill();
  await start();
  const second = await firstOf();
  const { rows } = await until(
    () =>
      service.pool.query<{ reason: string; seconds: number }>(
        `select wait_reason as reason, extract(epoch from next_attempt_at - (select started_at from attempts))::float8 as seconds
         from deliveries where id = $1 and next_attempt_at is not null`,
        [second],
      ),
    ({ rowCount }) => rowCount === 1,
  );
  expect(rows[0]?.reason).toBe('receiver_requested');
  expect(rows[0]?.seconds).toBeGreaterThanOrEqual(20);
  await waitForStatus(service, first, 'retrying', 2);
  for (const { at } of receiver.requests.slice(1))
    expect(at.getTime() - (receiver.requests[0]?.at.getTime() ?? 0)).toBeGreaterThanOrEqual(20_000);
});
