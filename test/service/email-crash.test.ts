import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { acceptOperationalEvents } from '../../src/db/operational-events.ts';
import { withTransaction } from '../../src/db/pool.ts';
import { newId } from '../../src/domain/ids.ts';
import { headerOf, startMailServer, type ReceivedMail } from '../kit/mail-server.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver } from '../kit/test-receiver.ts';
import { call, startService, until, type Service } from '../kit/service.ts';

/** E-mail alerts while workers die, with several of them, and while their account is deleted. */
let service: Service;
let mailServer: Awaited<ReturnType<typeof startMailServer>>;
let workers: ServiceProcess[];
/** All that arrived, refused ones included. */
let received: ReceivedMail[];
/** The reply to the next message; by default 250. */
let onMessage: (mail: ReceivedMail) => number | null;
beforeEach(async () => {
  workers = [];
  received = [];
  onMessage = () => null;
  mailServer = await startMailServer({
    message(mail) {
      received.push(mail);
      return onMessage(mail);
    },
  });
  service = await startService(
    {
      FLTR_SMTP_URL: `smtp://127.0.0.1:${mailServer.port}`,
      FLTR_SMTP_FROM: 'alerts@fltr.example',
      FLTR_RETRY_SCHEDULE_SECONDS: '1,1',
      LOG_LEVEL: 'warn',
    },
    'api',
  );
});
afterEach(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(workers.map((worker) => worker.exited()));
  await service.stop();
  await mailServer.stop();
});

function startWorker(): ServiceProcess {
  const worker = startProcess(['worker'], service.env);
  workers.push(worker);
  return worker;
}

const newAlert = (more: Record<string, unknown> = {}) =>
  service.newWebhook('mailto:ops@ok.example', { events: ['webhook.*', 'delivery.failed'], ...more });

async function emit(count: number, accountId = service.accountId): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newId('evt'));
  await withTransaction(service.pool, (client) =>
    acceptOperationalEvents(
      client,
      ids.map((id) => ({
        accountId,
        id,
        type: 'webhook.down',
        data: { webhook_id: 'wh_1' },
        webhookId: 'wh_1',
      })),
    ),
  );
  return ids;
}

const deliveries = async () =>
  (await service.call<{ data: Delivery[] }>('GET', '/v1/deliveries?limit=100')).body.data;
const messageIds = () => received.map((mail) => headerOf(mail, 'Message-ID') ?? '');

test('a worker that is killed after the server has accepted the message: the second one has the same Message-ID', async () => {
  const { webhook_id: alertId } = await newAlert();
  const first = startWorker();
  onMessage = () => {
    // Before the reply arrives, so nothing of it is recorded.
    process.kill(first.pid, 'SIGKILL');
    return null;
  };
  const [eventId] = await emit(1);
  await first.exited();
  expect(await deliveries()).toMatchObject([{ status: 'pending', attempt_count: 0 }]);
  onMessage = () => null;
  startWorker();
  const [delivery] = await until(deliveries, ([only]) => only?.status === 'delivered');
  expect(delivery).toMatchObject({ attempt_count: 1, last_status_code: 250 });
  const id = `<${eventId}.${alertId}@fltr.example>`;
  expect(messageIds()).toEqual([id, id]);
}, 120_000);

test('all attempts of a delivery have one Message-ID, those of others another one; several workers send each alert once', async () => {
  const [one, other] = [await newAlert(), await newAlert()];
  const refused = new Set<string>();
  // The first attempt of each is refused for now.
  onMessage = (mail) => {
    const id = headerOf(mail, 'Message-ID') ?? '';
    const isFirst = !refused.has(id);
    refused.add(id);
    return isFirst ? 451 : null;
  };
  startWorker();
  startWorker();
  const eventIds = await emit(10);
  await until(
    deliveries,
    (all) => all.length === 20 && all.every(({ status }) => status === 'delivered'),
    100_000,
  );
  const expected = eventIds.flatMap((eventId) =>
    [one, other].map(({ webhook_id: id }) => `<${eventId}.${id}@fltr.example>`),
  );
  expect(messageIds().toSorted()).toEqual([...expected, ...expected].toSorted());
  expect(mailServer.mails).toHaveLength(20);
}, 150_000);

test('of both families of events, several workers send as many e-mails an hour as the limit, and no more', async () => {
  await newAlert({ rate_limit: { attempts: 3, seconds: 3600 } });
  const failing = await startReceiver((_request, response) => void response.writeHead(404).end());
  onTestFinished(() => failing.close());
  await service.newWebhook(failing.url);
  startWorker();
  startWorker();
  // Failures of deliveries come first, and use up their limit.
  for (let failed = 0; failed < 6; failed += 1) await service.publish();
  const ofType = (all: Delivery[], type: string) => all.filter(({ event }) => event === type);
  const areDecided = (all: Delivery[], type: string, count: number) => {
    const own = ofType(all, type);
    return (
      own.length === count && own.every(({ status, next_attempt_at: at }) => status === 'delivered' || at)
    );
  };
  await until(deliveries, (all) => areDecided(all, 'delivery.failed', 6));
  await emit(6);
  const all = await until(deliveries, (now) => areDecided(now, 'webhook.down', 6));
  for (const type of ['delivery.failed', 'webhook.down']) {
    const statuses = ofType(all, type).map(({ status }) => status);
    expect([type, statuses.toSorted()]).toEqual([
      type,
      ['delivered', 'delivered', 'delivered', 'pending', 'pending', 'pending'],
    ]);
  }
  expect(mailServer.mails).toHaveLength(6);
}, 120_000);

test('after the deletion of an account no e-mail is sent: waiting, retried, deferred or about deliveries that fail meanwhile', async () => {
  const operator = await service.newKey({ accountId: null });
  const { accountId, key } = await service.newAccount();
  const create = (url: string, more: Record<string, unknown>) =>
    call(service.apiUrl, key, 'POST', '/v1/webhooks', { url, ...more });
  // Its first message is refused for now, so it is retried in an hour; the others of it are deferred.
  await create('mailto:ops@ok.example', {
    events: ['webhook.*', 'delivery.failed'],
    rate_limit: { attempts: 2, seconds: 3600 },
    retry: { schedule_seconds: [3600] },
  });
  const hanging: (() => void)[] = [];
  const failing = await startReceiver((_request, response) => {
    hanging.push(() => void response.writeHead(404).end());
  });
  onTestFinished(() => failing.close());
  await create(failing.url, { events: ['document.*'], timeout_ms: 30_000 });
  startWorker();
  onMessage = () => 451;
  await emit(4, accountId);
  const statusesOf = async () =>
    (
      await service.pool.query<{ status: string; hasTime: boolean }>(
        `select status, next_attempt_at is not null as "hasTime" from deliveries
         where account_id = $1 and event_type = 'webhook.down'`,
        [accountId],
      )
    ).rows;
  await until(statusesOf, (rows) => rows.length === 4 && rows.every(({ hasTime }) => hasTime));
  expect(received).toHaveLength(2);
  onMessage = () => null;
  // A delivery that is under way when the deletion begins, and fails after it.
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  expect((await call(service.apiUrl, key, 'POST', '/v1/events', event)).status).toBe(202);
  await until(
    () => hanging.length,
    (count) => count === 1,
  );
  const before = received.length;
  expect((await call(service.apiUrl, operator, 'DELETE', `/v1/accounts/${accountId}`)).status).toBe(202);
  for (const respond of hanging) respond();

  // Nothing of the account runs any longer: neither its deliveries nor its deletion.
  await until(
    async () => {
      await service.pool.query(
        `update accounts set deletion_requested_at = deletion_requested_at - interval '2 minutes'
         where id = $1 and deletion_requested_at > now() - interval '1 minute'`,
        [accountId],
      );
      await service.pool.query(
        `update webhooks set sync_at = now(), sync_until = now() where account_id = $1 and sync_until > now()`,
        [accountId],
      );
      return (await call(service.apiUrl, operator, 'GET', `/v1/accounts/${accountId}`)).status;
    },
    (status) => status === 404,
    100_000,
  );
  const { workflow } = service.temporal.client;
  await until(
    () => workflow.count(`FltrAccount = '${accountId}' and ExecutionStatus = 'Running'`),
    ({ count }) => count === 0,
  );
  // Longer than a wait for a permit.
  await delay(1000);
  expect(received).toHaveLength(before);
}, 150_000);
