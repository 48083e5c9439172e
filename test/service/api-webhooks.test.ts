import { afterAll, beforeAll, expect, test } from 'vitest';
import { atOnce, call, startService, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

type Webhook = {
  webhook_id: string;
  secret?: string;
  url: string;
  active: boolean;
  description: string | null;
  events: string[];
};
const url = 'https://your-app.example/webhooks/fltr';

test("the response to the page's own request has the page's own fields", async () => {
  const events = ['document.uploaded', 'document.processed', 'document.processing_failed'];
  const response = await service.call<Webhook>('POST', '/v1/webhooks', {
    url,
    events,
    description: 'Production webhook',
    active: true,
  });
  expect(response.status).toBe(201);
  expect(response.body).toMatchObject({ url, events, active: true, description: 'Production webhook' });
  expect(Object.keys(response.body).slice(0, 6)).toEqual([
    'webhook_id',
    'url',
    'events',
    'secret',
    'created_at',
    'active',
  ]);
  expect(response.body.webhook_id).toMatch(/^wh_[0-9a-z]{26}$/);
  const [, encoded = ''] = /^whsec_(.+)$/.exec(response.body.secret ?? '') ?? [];
  expect(Buffer.from(encoded, 'base64')).toHaveLength(32);
});

test('a webhook is read, listed, changed and deleted, and its secret is in none of that', async () => {
  const { webhook_id: id, secret } = await service.newWebhook(url, { description: 'first' });
  const one = await service.call<Webhook>('GET', `/v1/webhooks/${id}`);
  expect(one.body).toMatchObject({ webhook_id: id, description: 'first', active: true });
  const list = await service.call<{ data: Webhook[] }>('GET', '/v1/webhooks');
  expect(list.body.data.some(({ webhook_id }) => webhook_id === id)).toBe(true);
  const patched = await service.call<Webhook>('PATCH', `/v1/webhooks/${id}`, {
    events: ['dataset.*'],
    description: null,
  });
  expect(patched.body).toMatchObject({ events: ['dataset.*'], description: null, url });
  for (const { text } of [one, list, patched]) expect(text).not.toContain('whsec_');
  for (const host of ['{host}', '*.example.com', 'a..b']) {
    const refused = await service.call<{ errors: { pointer: string }[] }>('PATCH', `/v1/webhooks/${id}`, {
      url: `https://${host}/`,
      description: 'second',
    });
    expect(refused.status).toBe(422);
    expect(refused.body.errors.map(({ pointer }) => pointer)).toEqual(['/url']);
  }
  expect((await service.call<Webhook>('GET', `/v1/webhooks/${id}`)).body).toMatchObject(patched.body);
  expect((await service.call('GET', `/v1/webhooks/${id}/secret`)).body).toEqual({
    webhook_id: id,
    secret,
    previous_secret: null,
    previous_secret_until: null,
  });
  expect((await service.call('DELETE', `/v1/webhooks/${id}`)).status).toBe(204);
  const { rows } = await service.pool.query(
    `select action, fields from audit_records where target = $1 and action <> 'webhook.updated' order by id`,
    [id],
  );
  expect(rows).toEqual([
    { action: 'webhook.created', fields: [] },
    { action: 'webhook.secret_read', fields: [] },
    { action: 'webhook.deleted', fields: [] },
  ]);
  for (const [method, path] of [
    ['GET', ''],
    ['DELETE', ''],
    ['GET', '/secret'],
  ]) {
    expect((await service.call(method ?? '', `/v1/webhooks/${id}${path ?? ''}`)).status).toBe(404);
  }
  const wiped = await service.pool.query(`select sealed_secret from webhooks where id = $1`, [id]);
  expect(wiped.rows).toEqual([{ sealed_secret: null }]);
});

test('lists are paged by opaque cursors, each good for its own list only', async () => {
  const { key } = await service.newAccount();
  const mine = (method: string, path: string, body?: unknown) =>
    call<{ data: Webhook[]; next_cursor: string | null; webhook_id: string; code: string }>(
      service.apiUrl,
      key,
      method,
      path,
      body,
    );
  const created: string[] = [];
  for (let index = 0; index < 5; index += 1) {
    created.unshift((await mine('POST', '/v1/webhooks', { url, events: ['*'] })).body.webhook_id);
  }
  const seen: string[] = [];
  let path = '/v1/webhooks?limit=2';
  for (let pages = 0; pages < 3; pages += 1) {
    const { body } = await mine('GET', path);
    seen.push(...body.data.map(({ webhook_id }) => webhook_id));
    path = `/v1/webhooks?limit=2&cursor=${body.next_cursor}`;
    if (pages === 2) expect(body.next_cursor).toBeNull();
  }
  expect(seen).toEqual(created);
  const first = await mine('GET', '/v1/webhooks?limit=1');
  for (const [list, cursor] of [
    ['deliveries', first.body.next_cursor],
    ['webhooks', 'nonsense'],
    ['webhooks', Buffer.from('[2,"webhooks","wh_1"]').toString('base64url')],
    ['webhooks', Buffer.from('[1,"webhooks","wh_\\u0000"]').toString('base64url')],
  ]) {
    const refused = await mine('GET', `/v1/${list}?cursor=${cursor}`);
    expect([refused.status, refused.body.code]).toEqual([422, 'validation_failed']);
  }
  for (const limit of ['0', '101', '-1', '1.5', 'ten', '']) {
    expect((await mine('GET', `/v1/webhooks?limit=${limit}`)).status).toBe(422);
  }
  expect((await mine('GET', '/v1/webhooks?limit=100')).status).toBe(200);
});

test('50 calls race for the last of 100 webhooks: exactly 100 exist afterwards', async () => {
  const { accountId, key } = await service.newAccount();
  await service.pool.query(
    `insert into webhooks (id, account_id, url, events, active, sealed_secret)
     select 'wh_filler' || n, $1, $2, '{*}', true, 'x' from generate_series(1, 99) as n`,
    [accountId, url],
  );
  const responses = await atOnce(50, () =>
    call<{ code: string }>(service.apiUrl, key, 'POST', '/v1/webhooks', { url, events: ['*'] }),
  );
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(
    responses.filter(({ status, body }) => status === 409 && body.code === 'webhook_limit_reached'),
  ).toHaveLength(49);
  const { rows } = await service.pool.query(
    `select count(*)::int as count from webhooks where account_id = $1`,
    [accountId],
  );
  expect(rows).toEqual([{ count: 100 }]);
});

test('an Idempotency-Key creates once, gives the same response again, and refuses another body', async () => {
  const { accountId, key } = await service.newAccount();
  const post = (description: string) =>
    call<{ webhook_id: string; code: string }>(
      service.apiUrl,
      key,
      'POST',
      '/v1/webhooks',
      { url, events: ['*'], description },
      { 'Idempotency-Key': 'create-1' },
    );
  const responses = await atOnce(20, () => post('once'));
  expect(new Set(responses.map(({ text }) => text)).size).toBe(1);
  expect(responses.filter(({ headers }) => headers.get('Idempotent-Replayed') === 'true')).toHaveLength(19);
  const other = await post('another');
  expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused']);
  const { rows } = await service.pool.query(
    `select count(*)::int as count from webhooks where account_id = $1`,
    [accountId],
  );
  expect(rows).toEqual([{ count: 1 }]);
  const stored = await service.pool.query<{ sealed_response: string }>(
    `select sealed_response from idempotency_keys where key = 'create-1'`,
  );
  expect(stored.rows[0]?.sealed_response).not.toContain('whsec_');
});

test('an Idempotency-Key repeats no secret of a webhook that was deleted since', async () => {
  const { key } = await service.newAccount();
  const as = (method: string, path: string, name: string, body?: unknown) =>
    call<{ webhook_id: string; secret: string; code: string }>(service.apiUrl, key, method, path, body, {
      'Idempotency-Key': name,
    });
  const create = (name: string) => as('POST', '/v1/webhooks', name, { url, events: ['*'] });
  const [made, kept] = [await create('made'), await create('kept')];
  const rotate = (id: string, name: string) => as('POST', `/v1/webhooks/${id}/rotate-secret`, name);
  const rotated = await rotate(made.body.webhook_id, 'rotated');
  const keptRotated = await rotate(kept.body.webhook_id, 'rotated');
  expect([made.status, rotated.status, keptRotated.status]).toEqual([201, 200, 200]);
  const sealed = async () =>
    (
      await service.pool.query<{ count: number }>(
        `select count(sealed_response)::int as count from idempotency_keys where webhook_id = $1`,
        [made.body.webhook_id],
      )
    ).rows[0]?.count;
  expect(await sealed()).toBe(2);

  expect((await as('DELETE', `/v1/webhooks/${made.body.webhook_id}`, 'x')).status).toBe(204);
  for (const repeated of [await create('made'), await rotate(made.body.webhook_id, 'rotated')]) {
    expect([repeated.status, repeated.body.code]).toEqual([409, 'webhook_deleted']);
    expect(repeated.text).not.toContain('whsec_');
  }
  expect(await sealed()).toBe(0);
  // It is not created again; another webhook's responses stay.
  const list = await call<{ data: { webhook_id: string }[] }>(service.apiUrl, key, 'GET', '/v1/webhooks');
  expect(list.body.data.map(({ webhook_id }) => webhook_id)).toEqual([kept.body.webhook_id]);
  expect((await create('kept')).text).toBe(kept.text);
  expect((await rotate(kept.body.webhook_id, 'rotated')).text).toBe(keptRotated.text);
});

const bad: [string, unknown, string][] = [
  ['http to another host', { url: 'http://example.com/', events: ['*'] }, '/url'],
  ['a private address', { url: 'https://10.0.0.1', events: ['*'] }, '/url'],
  ['a mapped loopback address', { url: 'http://[::ffff:127.0.0.1]', events: ['*'] }, '/url'],
  ['credentials', { url: 'https://user:secret@example.com/', events: ['*'] }, '/url'],
  ['a fragment', { url: 'https://example.com/#top', events: ['*'] }, '/url'],
  ['2,049 characters', { url: `https://example.com/${'a'.repeat(2029)}`, events: ['*'] }, '/url'],
  ['no URL', { url: 'your-app', events: ['*'] }, '/url'],
  ['a host that can never be found', { url: 'https://{host}/', events: ['*'] }, '/url'],
  ['an unknown type', { url, events: ['document.exploded'] }, '/events/0'],
  ['a type twice', { url, events: ['*', '*'] }, '/events'],
  ['no type', { url, events: [] }, '/events'],
  ['an unknown field', { url, events: ['*'], colour: 'red' }, '/colour'],
  ['a missing field', { events: ['*'] }, '/url'],
  ['a NUL character', { url, events: ['*'], description: 'a\0b' }, '/description'],
  ['a wrong kind', { url, events: ['*'], active: 'yes' }, '/active'],
];
test.each(bad)(
  '%s is refused with 422 and a pointer, and leaves nothing behind',
  async (_name, body, pointer) => {
    const { accountId, key } = await service.newAccount();
    const response = await call<{
      code: string;
      status: number;
      errors: { pointer: string }[];
      request_id: string;
    }>(service.apiUrl, key, 'POST', '/v1/webhooks', body);
    expect(response.status).toBe(422);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(response.body).toMatchObject({ status: 422, code: 'validation_failed' });
    expect(response.body.errors.map((error) => error.pointer)).toContain(pointer);
    expect(response.body.request_id).toBe(response.headers.get('x-request-id'));
    const { rows } = await service.pool.query(`select 1 from webhooks where account_id = $1`, [accountId]);
    expect(rows).toEqual([]);
  },
);

test('a URL of exactly 2,048 characters is accepted', async () => {
  const { status } = await service.call('POST', '/v1/webhooks', {
    url: `https://example.com/${'a'.repeat(2028)}`,
    events: ['*'],
  });
  expect(status).toBe(201);
});
