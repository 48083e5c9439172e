import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { revokeApiKey } from '../../src/db/api-keys-table.ts';
import { digestOfKey } from '../../src/security/api-keys.ts';
import { startSecondApi } from '../kit/second-api.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

// A process remembers keys and webhooks. Here they are changed behind its back: by SQL, and by another process.
let service: Service;
let other: Awaited<ReturnType<typeof startSecondApi>>;
beforeAll(async () => {
  service = await startService({}, 'api');
  other = await startSecondApi(service);
});
afterAll(() => stopAll(other, service));

type Accepted = {
  id: string;
  duplicate: boolean;
  deliveries: { id: string; webhook_id: string; status: string }[];
  code: string;
  data: { status: number; error?: { code: string } }[];
};
const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };

async function newAccount() {
  const { accountId, key } = await service.newAccount();
  const idOfKey = async () => {
    const { rows } = await service.pool.query<{ id: string }>(`select id from api_keys where digest = $1`, [
      digestOfKey(key),
    ]);
    return rows[0]?.id ?? '';
  };
  const publish = (body: unknown = event, headers: Record<string, string> = {}, path = '/v1/events') =>
    call<Accepted>(service.apiUrl, key, 'POST', path, body, headers);
  /** By the other process. */
  const ask = <T = { webhook_id: string }>(method: string, path: string, body?: unknown) =>
    call<T>(other.apiUrl, key, method, path, body);
  const newWebhook = async (events = ['*']) =>
    (await ask('POST', '/v1/webhooks', { url: 'https://example.com/', events })).body.webhook_id;
  const webhooksOf = async (body: unknown = event) =>
    (await publish(body)).body.deliveries.map(({ webhook_id: id, status }) => [id, status]);
  const countEvents = async () => {
    const { rows } = await service.pool.query<{ count: number }>(
      `select count(*)::int as count from events where account_id = $1`,
      [accountId],
    );
    return rows[0]?.count;
  };
  return { accountId, key, idOfKey, publish, ask, newWebhook, webhooksOf, countEvents };
}

test('a key that is revoked elsewhere publishes nothing from then on, with any body', async () => {
  const { accountId, idOfKey, publish, countEvents } = await newAccount();
  const again = { ...event, id: 'evt_known' };
  expect((await publish(again)).status).toBe(202);
  expect((await publish(event, { 'idempotency-key': 'k' })).status).toBe(202);
  expect(await revokeApiKey(service.pool, await idOfKey())).not.toBeNull();
  const batch = '/v1/events/batch';
  const refused = [
    await publish(),
    await publish(again),
    await publish({ ...again, data: { ...event.data, deleted_by: 'x' } }),
    await publish(event, { 'idempotency-key': 'k' }),
    await publish(event, { 'idempotency-key': 'new' }),
    await publish({ events: [event, event] }, {}, batch),
    await publish({ events: ['no event'] }, {}, batch),
    await publish({ event: 'nothing' }),
    await publish('{'),
    await publish(' '.repeat(300_000)),
    await publish({ ...event, account_id: accountId }),
  ];
  for (const { status, body, headers } of refused) {
    expect([status, body.code, headers.get('www-authenticate')]).toEqual([401, 'unauthorized', 'Bearer']);
  }
  expect(await countEvents()).toBe(2);
  // Valid again, it publishes again.
  await service.pool.query(`update api_keys set revoked_at = null where id = $1`, [await idOfKey()]);
  expect((await publish()).status).toBe(202);
});

test('a key that loses the scope elsewhere is refused with 403, and one that gets it may publish at once', async () => {
  const { idOfKey, publish, countEvents } = await newAccount();
  const setScopes = async (scopes: string[]) =>
    service.pool.query(`update api_keys set scopes = $2 where id = $1`, [await idOfKey(), scopes]);
  expect((await publish()).status).toBe(202);
  await setScopes(['webhooks:read']);
  for (const response of [await publish(), await publish({ event: 'nothing' }), await publish()]) {
    expect([response.status, response.body.code]).toEqual([403, 'missing_scope']);
  }
  await setScopes(['events:write']);
  expect((await publish()).status).toBe(202);
  expect(await countEvents()).toBe(2);
});

test('50 publishes race against the revocation of their key: every event with a 202 exists, and no other', async () => {
  const { idOfKey, publish, countEvents } = await newAccount();
  await publish();
  const id = await idOfKey();
  const publishes = Array.from({ length: 25 }, () => publish());
  const revoked = revokeApiKey(service.pool, id);
  publishes.push(...Array.from({ length: 25 }, () => publish()));
  await revoked;
  const late = await Promise.all(Array.from({ length: 10 }, () => publish()));
  expect(late.map(({ status }) => status)).toEqual(late.map(() => 401));
  const responses = await Promise.all(publishes);
  const accepted = responses.filter(({ status }) => status === 202);
  expect(responses.filter(({ status }) => status === 401)).toHaveLength(50 - accepted.length);
  expect(await countEvents()).toBe(1 + accepted.length);
});

test('with many publishing at once, the revoked key alone is refused', async () => {
  const [good, bad] = [await newAccount(), await newAccount()];
  await Promise.all([good.publish(), bad.publish()]);
  await revokeApiKey(service.pool, await bad.idOfKey());
  const responses = await Promise.all(
    Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? good : bad).publish()),
  );
  expect(responses.map(({ status }) => status)).toEqual(
    responses.map((_, index) => (index % 2 === 0 ? 202 : 401)),
  );
  expect([await good.countEvents(), await bad.countEvents()]).toEqual([21, 1]);
});

test('of one id under two keys of an account, one of them revoked, the good one is accepted', async () => {
  const { accountId, publish, countEvents, idOfKey } = await newAccount();
  const goodKey = await service.newKey({ accountId });
  await publish();
  await call(service.apiUrl, goodKey, 'POST', '/v1/events', event);
  await revokeApiKey(service.pool, await idOfKey());
  const same = { ...event, id: 'evt_both' };
  const responses = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      index % 2 === 0 ? publish(same) : call<Accepted>(service.apiUrl, goodKey, 'POST', '/v1/events', same),
    ),
  );
  expect(responses.map(({ status }) => status)).toEqual(
    responses.map((_, index) => (index % 2 === 0 ? 401 : 202)),
  );
  expect(responses.filter(({ status, body }) => status === 202 && !body.duplicate)).toHaveLength(1);
  expect(await countEvents()).toBe(3);
});

test("a webhook's creation, change, pause, activation and deletion by another process hold for the next publish", async () => {
  const { webhooksOf, newWebhook, ask } = await newAccount();
  expect(await webhooksOf()).toEqual([]);
  const id = await newWebhook();
  expect(await webhooksOf()).toEqual([[id, 'pending']]);
  await ask('PATCH', `/v1/webhooks/${id}`, { events: ['dataset.*'] });
  expect(await webhooksOf()).toEqual([]);
  await ask('PATCH', `/v1/webhooks/${id}`, { events: ['document.deleted'] });
  expect(await webhooksOf()).toEqual([[id, 'pending']]);
  await ask('PATCH', `/v1/webhooks/${id}`, { active: false });
  expect(await webhooksOf()).toEqual([[id, 'held']]);
  await ask('PATCH', `/v1/webhooks/${id}`, { active: true });
  expect(await webhooksOf()).toEqual([[id, 'pending']]);
  await ask('DELETE', `/v1/webhooks/${id}`);
  expect(await webhooksOf()).toEqual([]);
});

test('webhooks changed straight in SQL hold for the next publish too', async () => {
  const { accountId, webhooksOf } = await newAccount();
  const sql = (text: string, values: unknown[]) => service.pool.query(text, values);
  expect(await webhooksOf()).toEqual([]);
  const ids = ['a', 'b', 'c'].map((name) => `wh_${accountId}_${name}`);
  const [a, b, c] = ids;
  await sql(
    `insert into webhooks (id, account_id, url, events, active, sealed_secret)
     select id, $2, 'https://example.com/', '{*}', true, 'x' from unnest($1::text[]) as t(id)`,
    [ids, accountId],
  );
  const all = (status: string) => ids.map((id) => [id, status]);
  expect(await webhooksOf()).toEqual(all('pending'));
  await sql(`update webhooks set active = false where account_id = $1`, [accountId]);
  expect(await webhooksOf()).toEqual(all('held'));
  await sql(`update webhooks set events = '{dataset.created}' where id = $1`, [a]);
  expect(await webhooksOf()).toEqual([
    [b, 'held'],
    [c, 'held'],
  ]);
  await sql(`update webhooks set deleted_at = now() where id = $1`, [b]);
  expect(await webhooksOf()).toEqual([[c, 'held']]);
  await sql(`delete from webhooks where id = $1`, [c]);
  expect(await webhooksOf()).toEqual([]);
  // Both accounts are notified of a webhook that moves from one to the other.
  const heir = await newAccount();
  expect(await heir.webhooksOf()).toEqual([]);
  await sql(`update webhooks set account_id = $2, events = '{*}' where id = $1`, [a, heir.accountId]);
  expect(await heir.webhooksOf()).toEqual([[a, 'held']]);
});

test('a change that is rolled back is never taken for one that was made', async () => {
  const { accountId, webhooksOf, newWebhook } = await newAccount();
  const id = await newWebhook();
  const client = await service.pool.connect();
  for (let round = 0; round < 3; round += 1) {
    await client.query('begin');
    await client.query(`update webhooks set active = false where account_id = $1`, [accountId]);
    expect(await webhooksOf()).toEqual([[id, 'pending']]);
    await client.query('rollback');
    expect(await webhooksOf()).toEqual([[id, 'pending']]);
  }
  client.release();
});

test('only changes of the fields that match events count as a change', async () => {
  const { accountId, ask, newWebhook } = await newAccount();
  const version = async () => {
    const { rows } = await service.pool.query<{ version: string }>(
      `select webhooks_version as version from accounts where id = $1`,
      [accountId],
    );
    return Number(rows[0]?.version);
  };
  const first = await version();
  const id = await newWebhook();
  const created = await version();
  expect(created).toBeGreaterThan(first);
  await ask('PATCH', `/v1/webhooks/${id}`, {
    url: 'https://example.org/',
    description: 'x',
    format: 'slack',
  });
  await ask('PATCH', `/v1/webhooks/${id}`, { active: true, events: ['*'] });
  await ask('POST', `/v1/webhooks/${id}/rotate-secret`);
  await service.pool.query(`update webhooks set warned_at = now() where id = $1`, [id]);
  expect(await version()).toBe(created);
  await ask('PATCH', `/v1/webhooks/${id}`, { active: false });
  expect(await version()).toBeGreaterThan(created);
});

test('transactions that change webhooks of the same accounts in opposite orders do not lock up', async () => {
  const accounts = await Promise.all(Array.from({ length: 8 }, () => newAccount()));
  const sets: [string[], string[]] = [[], []];
  for (const { newWebhook } of accounts) for (const set of sets) set.push(await newWebhook());
  const toggle = async (ids: string[]) => {
    for (let round = 0; round < 40; round += 1) {
      // Joined by a list, so the rows come in its order.
      await service.pool.query(
        `update webhooks w set active = not active from unnest($1::text[]) as t(id) where w.id = t.id`,
        [ids],
      );
    }
  };
  await Promise.all([toggle(sets[0]), toggle(sets[1].toReversed())]);
  for (const { webhooksOf } of accounts)
    expect((await webhooksOf()).map(([, status]) => status)).toEqual(['pending', 'pending']);
});

test.each([1, 2, 3])(
  '50 publishes race against the creation and the deletion of a webhook, round %i',
  async () => {
    const { accountId, newWebhook, publish, ask } = await newAccount();
    const stays = await newWebhook();
    await publish();
    type Span = { from: number; to: number };
    const spans: (Span & { webhooks: string[] })[] = [];
    const timed = async <T>(run: () => Promise<T>): Promise<[T, Span]> => {
      const from = performance.now();
      const value = await run();
      return [value, { from, to: performance.now() }];
    };
    const over = new AbortController();
    const publisher = async () => {
      while (!over.signal.aborted) {
        const [{ status, body }, span] = await timed(() => publish());
        expect(status).toBe(202);
        spans.push({ ...span, webhooks: body.deliveries.map(({ webhook_id: id }) => id) });
      }
    };
    const publishers = Array.from({ length: 50 }, publisher);
    const lives: { id: string; created: Span; deleted: Span }[] = [];
    for (let life = 0; life < 4; life += 1) {
      const [id, created] = await timed(() => newWebhook());
      await publish();
      const [, deleted] = await timed(() => ask('DELETE', `/v1/webhooks/${id}`));
      lives.push({ id, created, deleted });
    }
    over.abort();
    await Promise.all(publishers);
    expect(spans.length).toBeGreaterThanOrEqual(50);
    for (const { from, to, webhooks } of spans) {
      expect(webhooks).toContain(stays);
      for (const { id, created, deleted } of lives) {
        if (from > created.to && to < deleted.from) expect(webhooks).toContain(id);
        if (to < created.from || from > deleted.to) expect(webhooks).not.toContain(id);
      }
    }
    const { rows } = await service.pool.query<{ count: number }>(
      `select count(*)::int as count from deliveries where account_id = $1`,
      [accountId],
    );
    const notified = spans.reduce((sum, { webhooks }) => sum + webhooks.length, 0);
    // And those of the publishes that were not timed: the first one, and one in each life.
    expect(rows[0]?.count).toBe(notified + 1 + 2 * lives.length);
  },
);

test('a held delivery names no workflow yet and is shown under its own id; one that is inserted at once names one', async () => {
  const { newWebhook, ask, publish } = await newAccount();
  const id = await newWebhook();
  const workflowOf = async (deliveryId: string) => {
    const { rows } = await service.pool.query<{ owner_id: string | null }>(
      `select owner_id from deliveries where id = $1`,
      [deliveryId],
    );
    return rows[0]?.owner_id;
  };
  const shownOf = async (deliveryId: string) =>
    (await ask<{ workflow: { id: string } }>('GET', `/v1/deliveries/${deliveryId}`)).body.workflow.id;
  // While the starts of the tests before are in flight, it waits or shares a workflow.
  const { pending } = await until(
    async () => {
      const deliveryId = (await publish()).body.deliveries[0]?.id ?? '';
      return { pending: deliveryId, owner: await workflowOf(deliveryId) };
    },
    ({ pending: deliveryId, owner }) => owner === deliveryId,
  );
  expect(await shownOf(pending)).toBe(pending);
  await ask('PATCH', `/v1/webhooks/${id}`, { active: false });
  const held = (await publish()).body.deliveries[0]?.id ?? '';
  expect(await workflowOf(held)).toBeNull();
  const kept = await service.pool.query(
    `select held_until > now() + interval '71 hours' as is_kept, reconcile_at = held_until as is_checked_then,
       timeline->0->>'type' as first_entry from deliveries where id = $1`,
    [held],
  );
  expect(kept.rows).toEqual([{ is_kept: true, is_checked_then: true, first_entry: 'held' }]);
  expect(await shownOf(held)).toBe(held);
});

test('an account that another process makes can be published for at once', async () => {
  const serviceKey = await service.newKey({ accountId: null, scopes: ['events:write'] });
  const publish = (accountId: string) =>
    call<Accepted>(service.apiUrl, serviceKey, 'POST', '/v1/events', { ...event, account_id: accountId });
  onTestFinished(() =>
    service.pool.query(`delete from accounts where id = 'acc_late'`).then(() => undefined),
  );
  expect((await publish('acc_late')).status).toBe(422);
  await service.pool.query(`insert into accounts (id, name) values ('acc_late', 'late')`);
  expect((await publish('acc_late')).status).toBe(202);
});
