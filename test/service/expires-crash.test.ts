import { afterEach, beforeEach, expect, test } from 'vitest';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let service: Service;
let receiver: Receiver;
let processes: ServiceProcess[];
beforeEach(async () => {
  processes = [];
  [service, receiver] = await Promise.all([
    startService({ FLTR_RETRY_SCHEDULE_SECONDS: '600', LOG_LEVEL: 'warn' }, null),
    startReceiver(),
  ]);
});
afterEach(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.map((child) => child.exited()));
  await service.stop();
  await receiver.close();
});

async function start(command: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
  const child = startProcess([command], { ...service.env, ...env });
  processes.push(child);
  if (command !== 'worker') await untilReady(service.apiUrl, child);
  return child;
}

type Row = { status: string; reason: string | null; attempts: number };
const rowOf = async (id: string) =>
  (
    await service.pool.query<Row>(
      'select status, reason, attempt_count as attempts from deliveries where id = $1',
      [id],
    )
  ).rows[0];
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
const expired: Row = { status: 'failed', reason: 'expired', attempts: 0 };

test('an attempt that comes too late sends nothing and ends its delivery', async () => {
  // Without a worker, its workflow is started and makes no attempt.
  await start('api');
  await service.newWebhook(receiver.url);
  const { deliveries } = await service.publish({ expires_at: inSeconds(1) });
  const id = deliveries[0]?.id ?? '';
  await until(
    () => service.pool.query('select 1 from deliveries where id = $1 and expires_at < now()', [id]),
    ({ rowCount }) => rowCount === 1,
  );
  await start('worker');
  await until(
    () => rowOf(id),
    (row) => row?.status === 'failed',
  );
  expect(await rowOf(id)).toEqual(expired);
  expect(receiver.requests).toEqual([]);
});

test('without Temporal and without its process it expires all the same; its workflow ends once it is back', async () => {
  const api = await start('api');
  await service.newWebhook(receiver.url);
  const { deliveries } = await service.publish({ expires_at: inSeconds(60) });
  const id = deliveries[0]?.id ?? '';
  await until(
    () =>
      service.temporal.client.workflow
        .getHandle(id)
        .describe()
        .catch(() => null),
    (found) => found !== null,
  );
  api.kill('SIGKILL');
  await api.exited();
  await service.pool.query(`update deliveries set expires_at = now() - interval '61 seconds' where id = $1`, [
    id,
  ]);
  const { startRawReceiver } = await import('../kit/raw-receiver.ts');
  const silent = await startRawReceiver(() => undefined);
  const lonely = await start('api', { TEMPORAL_ADDRESS: `127.0.0.1:${silent.port}` });
  await until(
    () => rowOf(id),
    (row) => row?.status === 'failed',
  );
  lonely.kill('SIGKILL');
  await lonely.exited();
  await start('worker');
  const ended = await until(
    () => service.temporal.client.workflow.getHandle(id).describe(),
    ({ status }) => status.name !== 'RUNNING',
  );
  expect(ended.status.name).toBe('COMPLETED');
  expect(await rowOf(id)).toEqual(expired);
  expect(receiver.requests).toEqual([]);
});
