import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_DELIVERIES_PER_HOUR: '0', FLTR_RETRY_SCHEDULE_SECONDS: '1,1,1' }),
    startReceiver(),
  ]);
});
afterAll(() => stopAll(service, receiver));

const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } };

/** Publishes in every form until it is stopped; how many events were accepted. */
function publishAll(publishers: number): { stop(): Promise<number> } {
  const stop = new AbortController();
  let accepted = 0;
  const publish = async (number: number): Promise<void> => {
    for (let count = 0; !stop.signal.aborted; count += 1) {
      const headers: Record<string, string> =
        number % 2 === 0 ? {} : { 'idempotency-key': `${number}-${count}` };
      const response =
        count % 5 === 4
          ? await service.call('POST', '/v1/events/batch', { events: [event, event] })
          : await service.call('POST', '/v1/events', event, headers);
      expect([202, 207]).toContain(response.status);
      accepted += response.status === 207 ? 2 : 1;
      await delay(60);
    }
  };
  const running = Promise.all(Array.from({ length: publishers }, (_, number) => publish(number)));
  return {
    async stop() {
      stop.abort();
      await running;
      return accepted;
    },
  };
}

const countOf = async (status: string) =>
  (await service.pool.query(`select 1 from deliveries where status = $1`, [status])).rowCount ?? 0;

test(
  'switched off and on while events come in, a webhook gets all of them, and no switch fails',
  { timeout: 300_000 },
  async () => {
    const { webhook_id: id } = await service.newWebhook(receiver.url);
    const publishing = publishAll(8);
    const set = (active: boolean) => service.call('PATCH', `/v1/webhooks/${id}`, { active });
    for (let round = 0; round < 15; round += 1) {
      const off = await set(false);
      await delay(Math.random() * 150);
      const on = await set(true);
      await delay(Math.random() * 150);
      expect([off.status, on.status]).toEqual([200, 200]);
    }
    const accepted = await publishing.stop();
    await until(
      () => countOf('held'),
      (held) => held === 0,
    );
    await until(
      () => countOf('delivered'),
      (delivered) => delivered === accepted,
    );
    const { rows } = await service.pool.query<{ requests: number }>(
      `select count(*)::int as requests from attempts where outcome = 'delivered'`,
    );
    expect(rows).toEqual([{ requests: accepted }]);
  },
);

test('a delivery that a statement of long ago holds for a webhook that is active by now is released', async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url, { events: ['dataset.deleted'] });
  await service.call('PATCH', `/v1/webhooks/${id}`, { active: false });
  // A transaction that decided by the state before, and commits after the release.
  const client = await service.pool.connect();
  await client.query('begin');
  await client.query(
    `insert into events (account_id, id, type, "timestamp", body) values ($1, 'evt_late', 'dataset.deleted', '', '{}')`,
    [service.accountId],
  );
  await client.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, held_until, reconcile_at)
     values ('dlv_01m00000000000000000000000', $1, $2, 'evt_late', 'dataset.deleted', 'held', now(), hold_until(), hold_until())`,
    [service.accountId, id],
  );
  await service.call('PATCH', `/v1/webhooks/${id}`, { active: true });
  await delay(3000);
  await client.query('commit');
  client.release();
  await until(
    async () =>
      (
        await service.pool.query(
          `select 1 from deliveries where id = 'dlv_01m00000000000000000000000' and status = 'delivered'`,
        )
      ).rowCount,
    (count) => count === 1,
  );
});
