import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { isGroupId } from '../../src/domain/ids.ts';
import { archivedTimeline, readStory } from '../../src/temporal/history.ts';
import { findDelivery } from '../../src/db/deliveries-table.ts';
import { readDelivery, waitForAll, waitForStatus, workflowStatus } from '../kit/delivery-steps.ts';
import { makeCertificate } from '../kit/raw-receiver.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, until, type Service } from '../kit/service.ts';

let statusFor: (path: string, count: number) => number | Promise<number> = () => 200;
let receiver: Receiver;
const counts = new Map<string, number>();
beforeAll(async () => {
  receiver = await startReceiver((request, response) => {
    const count = (counts.get(request.path) ?? 0) + 1;
    counts.set(request.path, count);
    void Promise.resolve(statusFor(request.path, count)).then((status) => response.writeHead(status).end());
  });
});
afterAll(() => receiver.close());

/** Both ways: deliveries of a burst share a workflow, or each has its own. */
describe.each([64, 1])('with at most %i deliveries in a workflow', (perWorkflow) => {
  let service: Service;
  beforeAll(async () => {
    service = await startService({
      FLTR_DELIVERIES_PER_WORKFLOW: String(perWorkflow),
      FLTR_AUTO_DISABLE_MIN_DELIVERIES: '100000',
      FLTR_ATTEMPT_TIMEOUT_MS: '60000',
    });
  });
  afterAll(() => service.stop());
  afterEach(async () => {
    const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks?limit=100');
    for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
    counts.clear();
    statusFor = () => 200;
  });

  /** One event to many webhooks, each with a path of its own: accepted at once, hence a burst. */
  async function burst(paths: readonly string[]): Promise<Map<string, string>> {
    const pathOf = new Map<string, string>();
    for (const path of paths) {
      const { webhook_id: id } = await service.newWebhook(`${receiver.url}/${path}`);
      pathOf.set(id, path);
    }
    const { deliveries } = await service.publish();
    expect(deliveries).toHaveLength(paths.length);
    return new Map(deliveries.map(({ id, webhook_id: webhookId }) => [pathOf.get(webhookId) ?? '', id]));
  }
  const names = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  const kinds = ({ timeline }: Delivery) => timeline.map(({ type }) => type);
  const idsOf = (deliveries: Map<string, string>) => [...deliveries.values()];
  const inGroup = async (id: string) => isGroupId((await readDelivery(service, id)).workflow.id);

  test('all deliveries of a burst are delivered once, and shown alike', async () => {
    const deliveries = await burst(names('ok', 20));
    for (const id of idsOf(deliveries)) {
      const delivery = await waitForStatus(service, id, 'delivered', 1);
      expect(kinds(delivery)).toEqual(['accepted', 'started', 'attempt', 'ended']);
      const row = await findDelivery(service.pool, service.accountId, id);
      if (!row) throw new Error('no row');
      // From history as from the archive.
      expect((await readStory(service.temporal, row)).timeline).toEqual(archivedTimeline(row));
    }
    expect([...counts.values()]).toEqual(Array(20).fill(1));
    const grouped = await Promise.all(idsOf(deliveries).map(inGroup));
    expect(grouped.some(Boolean)).toBe(perWorkflow > 1);
    // The Web UI finds its owner by the delivery's id.
    const [id = ''] = idsOf(deliveries);
    const { workflow } = await readDelivery(service, id);
    const found = await until(
      async () => {
        const ids: string[] = [];
        const query = `FltrDelivery = '${id}'`;
        for await (const { workflowId } of service.temporal.client.workflow.list({ query }))
          ids.push(workflowId);
        return ids;
      },
      (ids) => ids.length > 0,
    );
    expect(found).toEqual([workflow.id]);
  });

  test('in a burst, a webhook whose policy fits no shared attempt has workflows of its own', async () => {
    const { cert: certificate, key } = makeCertificate(['client.test']);
    const source = { token_url: `${receiver.url}/token`, client_id: 'a', client_secret: 'b' };
    const alone = {
      slow: { timeout_ms: 10_001 },
      mtls: { auth: { type: 'mtls', certificate, key } },
      oauth2: { auth: { type: 'oauth2', ...source } },
    };
    const idOf: Record<string, string> = {};
    for (const [name, policy] of Object.entries(alone)) {
      const { webhook_id: id } = await service.newWebhook(`${receiver.url}/${name}`, policy);
      idOf[id] = name;
    }
    await service.newWebhook(`${receiver.url}/quick`, { timeout_ms: 10_000 });
    for (const name of names('ok', 20)) await service.newWebhook(`${receiver.url}/${name}`);
    const published = await Promise.all(Array.from({ length: 10 }, () => service.publish()));
    const deliveries = published.flatMap((each) => each.deliveries);
    const own = deliveries.filter(({ webhook_id: id }) => id in idOf);
    expect(own).toHaveLength(30);
    for (const { id, webhook_id: webhookId } of own) {
      const status = idOf[webhookId] === 'oauth2' ? 'retrying' : 'delivered';
      const { workflow, timeline, attempts } = await waitForStatus(service, id, status, 1);
      expect(workflow.id).toBe(id);
      expect(timeline.filter(({ type }) => type === 'started')).toMatchObject([{ workflow_id: id }]);
      expect(attempts[0]?.error?.code ?? null).toBe(status === 'delivered' ? null : 'auth_failed');
    }
    const others = deliveries.filter(({ webhook_id: id }) => !(id in idOf));
    const grouped = await Promise.all(others.map(({ id }) => inGroup(id)));
    expect(grouped.some(Boolean)).toBe(perWorkflow > 1);
  });

  test('a burst of single publishes writes each delivery twice: with its owner, and with its outcome', async () => {
    await service.newWebhook(`${receiver.url}/each`);
    await service.pool.query(`create table updated_deliveries (id text);
      create function note_update() returns trigger language plpgsql as
        $$ begin insert into updated_deliveries values (new.id); return null; end $$;
      create trigger note_update after update on deliveries for each row execute function note_update()`);
    const published = await Promise.all(Array.from({ length: 200 }, () => service.publish()));
    const ids = published.flatMap(({ deliveries }) => deliveries.map(({ id }) => id));
    expect(ids).toHaveLength(200);
    await waitForAll(service, ids, 'delivered', 1);
    // Rows written after the outcome count as well.
    await until(
      async () =>
        (
          await service.pool.query('select 1 from deliveries where id = any($1) and run_id is null limit 1', [
            ids,
          ])
        ).rowCount,
      (left) => left === 0,
    );
    for (const id of ids.slice(-5)) await workflowStatus(service, id);
    expect(counts.get('/each')).toBe(200);
    const { rows } = await service.pool.query<{ count: number }>(
      'select count(*)::int as count from updated_deliveries where id = any($1)',
      [ids],
    );
    await service.pool.query('drop trigger note_update on deliveries');
    expect(rows[0]?.count).toBeGreaterThanOrEqual(200);
    // A slow machine may leave some to a later statement.
    if (perWorkflow > 1) expect(rows[0]?.count).toBeLessThan(300);
  });

  test('a delivery with a failed first attempt continues in a workflow of its own: it retries, fails, takes signals', async () => {
    statusFor = (path, count) =>
      path.startsWith('/gone') ? 404 : path.startsWith('/down') && count === 1 ? 503 : 200;
    const deliveries = await burst([...names('ok', 6), ...names('gone', 4), ...names('down', 4)]);
    const of = (path: string) => deliveries.get(path) ?? '';
    for (const path of names('ok', 6)) await waitForStatus(service, of(path), 'delivered', 1);
    for (const path of names('gone', 4)) {
      const failed = await waitForStatus(service, of(path), 'failed', 1);
      expect(failed.reason).toBe('client_error');
      expect(kinds(failed)).toEqual(['accepted', 'started', 'attempt', 'ended']);
      expect(failed.workflow.id).toBe(failed.id);
      expect(await workflowStatus(service, failed.id)).toBe('FAILED');
    }
    for (const path of names('down', 4)) {
      const waiting = await waitForStatus(service, of(path), 'retrying', 1);
      expect(kinds(waiting)).toEqual(['accepted', 'started', 'attempt', 'wait']);
      expect(waiting.timeline.at(-1)).toMatchObject({ seconds: 60 });
      expect((await service.call('POST', `/v1/deliveries/${waiting.id}/retry`)).status).toBe(202);
      const delivered = await waitForStatus(service, waiting.id, 'delivered', 2);
      expect(kinds(delivered)).toEqual([
        'accepted',
        'started',
        'attempt',
        'wait',
        'signal',
        'attempt',
        'ended',
      ]);
      const row = await findDelivery(service.pool, service.accountId, waiting.id);
      if (!row) throw new Error('no row');
      expect((await readStory(service.temporal, row)).timeline).toEqual(archivedTimeline(row));
      expect((await readDelivery(service, waiting.id)).workflow).toMatchObject({ id: waiting.id });
    }
    statusFor = () => 200;
    const again = of('gone-0');
    await service.call('POST', `/v1/deliveries/${again}/retry`);
    await waitForStatus(service, again, 'delivered', 2);
    expect(counts.get('/gone-0')).toBe(2);
  });

  test('only webhooks that reject are left out of later groups: those that fail for now stay in them', async () => {
    statusFor = (path) => (path.startsWith('/gone') ? 404 : path.startsWith('/down') ? 503 : 200);
    const pathOf = new Map<string, string>();
    for (const path of [...names('ok', 4), ...names('gone', 2), ...names('down', 4)])
      pathOf.set((await service.newWebhook(`${receiver.url}/${path}`)).webhook_id, path);
    const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } };
    const batch = { events: [event, event] };
    expect((await service.call('POST', '/v1/events/batch', batch)).status).toBe(207);
    // Each webhook has two requests at once, and two failures are enough to know.
    await until(
      async () =>
        (
          await service.pool.query(
            'select 1 from deliveries where webhook_id = any($1) and attempt_count = 1',
            [[...pathOf.keys()]],
          )
        ).rowCount,
      (attempted) => attempted === 20,
    );
    const { deliveries } = await service.publish();
    const ids = deliveries.map(({ id }) => id);
    const rows = await until(
      () => Promise.all(ids.map((id) => findDelivery(service.pool, service.accountId, id))),
      (found) => found.every((row) => row?.attemptCount === 1),
    );
    for (const row of rows) {
      const started = row?.timeline.find(({ type }) => type === 'started');
      const isGrouped = started?.type === 'started' && isGroupId(started.workflow_id ?? '');
      const path = pathOf.get(row?.webhookId ?? '') ?? '';
      expect([path, isGrouped]).toEqual([path, perWorkflow > 1 && !path.startsWith('gone')]);
    }
  });

  test('a delivery that waits for a retry continues in a workflow of its own, which waits for the same time', async () => {
    statusFor = () => 503;
    const deliveries = await burst([...names('down', 12), 'canceled']);
    const of = (path: string) => deliveries.get(path) ?? '';
    await waitForStatus(service, of('canceled'), 'retrying', 1);
    expect((await service.call('POST', `/v1/deliveries/${of('canceled')}/cancel`)).status).toBe(202);
    const canceled = await waitForStatus(service, of('canceled'), 'canceled', 1);
    expect(kinds(canceled)).toEqual(['accepted', 'started', 'attempt', 'wait', 'signal', 'ended']);
    for (const id of names('down', 12).map(of)) {
      const { next_attempt_at: at, timeline } = await waitForStatus(service, id, 'retrying', 1);
      await until(
        () => readDelivery(service, id),
        ({ workflow }) => workflow.id === id && workflow.run_id !== null,
      );
      const later = await readDelivery(service, id);
      expect([later.next_attempt_at, later.timeline]).toEqual([at, timeline]);
      const handle = service.temporal.client.workflow.getHandle(id);
      expect((await handle.describe()).status.name).toBe('RUNNING');
      const { nextAttemptAt } = await handle.query<{ nextAttemptAt: string }>('state');
      expect(nextAttemptAt).toBe(at);
    }
  });

  test('signals that come during the first attempt count', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    statusFor = async () => {
      await gate;
      return 503;
    };
    const deliveries = await burst(['canceled', 'moved', 'retried', ...names('other', 9)]);
    const of = (path: string) => deliveries.get(path) ?? '';
    await until(
      () => counts.size,
      (size) => size === 12,
    );
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const responses = [
      await service.call('POST', `/v1/deliveries/${of('canceled')}/cancel`),
      await service.call('PATCH', `/v1/deliveries/${of('moved')}`, { next_attempt_at: later }),
      await service.call('POST', `/v1/deliveries/${of('retried')}/retry`),
    ];
    expect(responses.map(({ status }) => status)).toEqual([202, 200, 202]);
    release();
    const canceled = await waitForStatus(service, of('canceled'), 'canceled');
    expect(kinds(canceled)).toEqual(['accepted', 'started', 'attempt', 'signal', 'wait', 'ended']);
    await until(
      () => readDelivery(service, of('moved')),
      ({ timeline }) => timeline.some((entry) => entry.type === 'wait' && entry.reason === 'rescheduled'),
    );
    expect((await readDelivery(service, of('moved'))).next_attempt_at).toBe(later);
    // It was requested before the first attempt had ended, so it was that attempt.
    const retried = await until(
      () => readDelivery(service, of('retried')),
      ({ timeline }) => timeline.some(({ type }) => type === 'signal'),
    );
    expect([retried.status, retried.attempts.length]).toEqual(['retrying', 1]);
    expect(retried.timeline.filter(({ type }) => type === 'signal')).toHaveLength(1);
  });

  test('a webhook that is paused during the first attempt holds the deliveries that were not delivered', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    statusFor = async (path, count) => {
      if (count === 1) await gate;
      return count === 1 && path !== '/ok' ? 503 : 200;
    };
    const deliveries = await burst(['ok', 'held', ...names('other', 10)]);
    const of = (path: string) => deliveries.get(path) ?? '';
    await until(
      () => counts.size,
      (size) => size === 12,
    );
    const { webhook_id: webhookId } = await readDelivery(service, of('held'));
    await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
    release();
    await waitForStatus(service, of('ok'), 'delivered', 1);
    const held = await until(
      () => readDelivery(service, of('held')),
      ({ status, timeline }) => status === 'held' && timeline.at(-1)?.type === 'held',
    );
    expect(held.attempts).toHaveLength(1);
    await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: true });
    await waitForStatus(service, of('held'), 'delivered', 2);
    expect(counts.get('/held')).toBe(2);
  });

  test('a receiver that hangs keeps no other delivery waiting, neither of its burst nor later ones', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<number>((resolve) => {
      release = () => resolve(200);
    });
    statusFor = (path) => (path.startsWith('/hang') ? gate : 200);
    const rounds = [await burst([...names('hang', 3), ...names('quick', 12)])];
    const [first = new Map<string, string>()] = rounds;
    const hanging = new Set<string>();
    for (const path of names('hang', 3)) {
      const { webhook_id: id } = await readDelivery(service, first.get(path) ?? '');
      hanging.add(id);
    }
    const quick = idsOf(first).slice(3);
    const hung = idsOf(first).slice(0, 3);
    for (let round = 0; round < 3; round += 1) {
      for (const { id, webhook_id: webhookId } of (await service.publish()).deliveries)
        (hanging.has(webhookId) ? hung : quick).push(id);
      // Its workflow may still be under way, for those that hang.
      for (const id of quick)
        await until(
          () => readDelivery(service, id),
          ({ status }) => status === 'delivered',
        );
    }
    // All of them while none of these has its response.
    for (const id of hung) expect((await readDelivery(service, id)).attempts).toEqual([]);
    release();
    for (const id of hung) await waitForStatus(service, id, 'delivered', 1);
  });
});
