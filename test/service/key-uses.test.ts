import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import type { Key } from '../../src/contracts/key.ts';
import { createKeyUses } from '../../src/db/key-uses.ts';
import { insertApiKey, revokeApiKey } from '../../src/db/api-keys-table.ts';
import { withTransaction } from '../../src/db/pool.ts';
import { digestOfKey, newApiKey } from '../../src/security/api-keys.ts';
import { portalCalls } from '../kit/portal.ts';
import { startProcess } from '../kit/process.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';

/** When keys were last used, in the list of keys. */
let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
  // Each write of a row is counted.
  await service.pool.query(`
    create table key_writes (key_id text not null, at timestamptz not null);
    create function count_key_write() returns trigger language plpgsql as $$
      begin insert into key_writes values (new.id, new.last_used_at); return null; end $$;
    create trigger key_writes after update of last_used_at on api_keys
      for each row execute function count_key_write()`);
});
afterAll(() => service.stop());

const listed = async (key: string) =>
  (await call<{ data: Key[] }>(service.apiUrl, key, 'GET', '/v1/keys')).body.data;
async function insertKey(accountId: string | null, name: string): Promise<string> {
  const row = await insertApiKey(service.pool, {
    accountId,
    name,
    hint: 'fltr_…',
    digest: digestOfKey(newApiKey()),
    scopes: ['events:write'],
  });
  return row.id;
}
const lastUse = async (id: string) => {
  const { rows } = await service.pool.query<{ at: Date | null }>(
    'select last_used_at as at from api_keys where id = $1',
    [id],
  );
  return rows[0]?.at ?? null;
};
const writes = async (id: string) =>
  (await service.pool.query(`select 1 from key_writes where key_id = $1`, [id])).rowCount;

test('two processes that use a key write it once a minute together; a call that publishes counts too', async () => {
  const port = await reservePort();
  const child = startProcess(['api'], { ...service.env, PORT: String(port) });
  const other = `http://127.0.0.1:${port}`;
  await untilReady(other, child);
  try {
    const { accountId, key } = await service.newAccount();
    const publisher = await service.newKey({ accountId, scopes: ['events:write'] });
    const unused = await insertKey(accountId, 'unused');
    const before = Date.now();
    const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 'd' } };
    const useBoth = () =>
      Promise.all(
        [service.apiUrl, other].flatMap((apiUrl) => [
          call(apiUrl, key, 'GET', '/v1/webhooks'),
          call(apiUrl, publisher, 'POST', '/v1/events', event),
        ]),
      );
    const used = await until(
      async () => {
        await useBoth();
        return (await listed(key)).filter(({ last_used_at: at }) => at !== null);
      },
      (keys) => keys.length === 2,
      30_000,
    );
    for (const { last_used_at: at } of used)
      expect(Date.parse(at ?? '')).toBeGreaterThanOrEqual(before - 1000);
    // Longer than both take to write.
    for (let second = 0; second < 12; second += 1) {
      await useBoth();
      await delay(1000);
    }
    for (const { id } of used) expect([id, await writes(id)]).toEqual([id, 1]);
    expect((await listed(key)).find(({ id }) => id === unused)).toMatchObject({ last_used_at: null });
  } finally {
    child.kill('SIGTERM');
    expect(await child.exited()).toBe(0);
  }
}, 120_000);

test('a refused call of a known key counts, a wrong key and a portal do not; a stopped process has written all', async () => {
  const { accountId, key } = await service.newAccount();
  const port = await reservePort();
  const child = startProcess(['api'], { ...service.env, PORT: String(port) });
  const apiUrl = `http://127.0.0.1:${port}`;
  await untilReady(apiUrl, child);
  const writer = await service.newKey({ accountId, scopes: ['events:write'] });
  const { token } = await portalCalls(() => service).openNew({}, key);
  expect((await call(apiUrl, writer, 'GET', '/v1/webhooks')).status).toBe(403);
  expect((await call(apiUrl, 'fltr_unknown', 'GET', '/v1/webhooks')).status).toBe(401);
  const own = { 'x-fltr-dashboard': '1' };
  expect((await call(apiUrl, token, 'GET', '/v1/webhooks', undefined, own)).status).toBe(200);
  child.kill('SIGTERM');
  expect(await child.exited()).toBe(0);
  const { rows } = await service.pool.query<{ is_used: boolean }>(
    `select last_used_at is not null as is_used from api_keys where account_id = $1 and scopes = '{events:write}'`,
    [accountId],
  );
  expect(rows).toEqual([{ is_used: true }]);
}, 120_000);

/** As of two processes, with a minute that is shorter. */
const uses = (leastMs = 1500) => {
  const errors: unknown[] = [];
  const of = createKeyUses({
    db: service.pool,
    onError: (error) => errors.push(error),
    times: { leastMs, writeMs: 20 },
  });
  return { ...of, errors };
};

test('after its minute a key is written again, by one of two', async () => {
  const id = await insertKey(null, 'a service key');
  const [one, other] = [uses(), uses()];
  const startedAt = performance.now();
  while (performance.now() - startedAt < 4000) {
    one.add(id);
    other.add(id);
    await delay(10);
  }
  await Promise.all([one.close(), other.close()]);
  const { rows } = await service.pool.query<{ ms: number }>(
    `select extract(epoch from at - lag(at) over (order by at))::float8 * 1000 as ms from key_writes where key_id = $1
     order by at`,
    [id],
  );
  expect(rows.length).toBeGreaterThanOrEqual(2);
  expect(rows.length).toBeLessThanOrEqual(3);
  // Times are cut to the millisecond.
  for (const { ms } of rows.slice(1)) expect(ms).toBeGreaterThanOrEqual(1499);
  expect([...one.errors, ...other.errors]).toEqual([]);
});

test('a use that could not be written is written later, with the time of the use; a revoked key keeps its own', async () => {
  const id = await insertKey(null, 'during an outage');
  const revoked = await insertKey(null, 'revoked');
  await revokeApiKey(service.pool, revoked);
  await service.pool.query('alter table api_keys rename to keys_away');
  const ofProcess = uses();
  const usedAt = Date.now();
  ofProcess.add(id);
  ofProcess.add(revoked);
  await until(
    () => ofProcess.errors.length,
    (count) => count >= 2,
  );
  await service.pool.query('alter table keys_away rename to api_keys');
  const at = await until(
    () => lastUse(id),
    (time) => time !== null,
    30_000,
  );
  expect(Math.abs((at?.getTime() ?? 0) - usedAt)).toBeLessThan(500);
  await ofProcess.close();
  expect(await lastUse(revoked)).toBeNull();
});

test('it waits for no lock: revoking keys is not delayed, and the key is written later', async () => {
  const [locked, free] = [await insertKey(null, 'locked'), await insertKey(null, 'free')];
  const ofProcess = uses(300);
  await withTransaction(service.pool, async (client) => {
    await client.query('select 1 from api_keys where id = $1 for update', [locked]);
    ofProcess.add(locked);
    ofProcess.add(free);
    await until(
      () => lastUse(free),
      (time) => time !== null,
      10_000,
    );
    expect(await lastUse(locked)).toBeNull();
  });
  await until(
    async () => {
      ofProcess.add(locked);
      return lastUse(locked);
    },
    (time) => time !== null,
    10_000,
  );
  await ofProcess.close();
  expect(ofProcess.errors).toEqual([]);
});
