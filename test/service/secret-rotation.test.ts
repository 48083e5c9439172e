import { createHmac } from 'node:crypto';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isSecretDue, signingSecrets } from '../../src/domain/signing-secrets.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Received, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

type Webhook = {
  webhook_id: string;
  secret: string;
  secret_created_at: string;
  secret_due: boolean;
  previous_secret_until: string | null;
  updated_at: string;
};
type Secret = {
  webhook_id: string;
  secret: string;
  previous_secret: string | null;
  previous_secret_until: string | null;
};

let service: Service;
let receiver: Receiver;
let responseStatus: number;
beforeAll(async () => {
  responseStatus = 200;
  receiver = await startReceiver((_request, response) => response.writeHead(responseStatus).end());
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '3600,3600' });
});
afterAll(() => stopAll(service, receiver));

/** A webhook, and the calls on it. */
async function newWebhook() {
  const path = `/${crypto.randomUUID()}`;
  const { webhook_id: id, secret } = await service.newWebhook(receiver.url + path);
  const requests = () => receiver.requests.filter((request) => request.path === path);
  return {
    id,
    secret,
    requests,
    read: async () => (await service.call<Webhook>('GET', `/v1/webhooks/${id}`)).body,
    readSecret: async () => (await service.call<Secret>('GET', `/v1/webhooks/${id}/secret`)).body,
    rotate: (body?: unknown, headers?: Record<string, string>) =>
      service.call<Webhook>('POST', `/v1/webhooks/${id}/rotate-secret`, body, headers),
    finish: () => service.call<Webhook>('POST', `/v1/webhooks/${id}/rotate-secret/finish`),
    /** Sends an event; who of these secrets signed it, and how. */
    async signersOfNext(secrets: Record<string, string>) {
      const before = requests().length;
      await service.publish();
      const received = await until(
        () => requests().at(before),
        (request) => request !== undefined,
      );
      if (!received) throw new Error('unreachable');
      return signersOf(received, secrets);
    },
  };
}

/** Which secrets made `X-FLTR-Signature`, and each entry of `webhook-signature`, as receivers verify them. */
function signersOf({ headers, body }: Received, secrets: Record<string, string>) {
  const names = Object.keys(secrets);
  const made = (verifies: (secret: string) => boolean) =>
    names.filter((name) => verifies(secrets[name] ?? '')).join() || 'nobody';
  const hex = headers['x-fltr-signature'];
  const verifiesStandard = (secret: string, signature: string) => {
    const signed = {
      'webhook-id': String(headers['webhook-id']),
      'webhook-timestamp': String(headers['webhook-timestamp']),
      'webhook-signature': signature,
    };
    try {
      new StandardWebhook(secret).verify(body, signed);
      return true;
    } catch {
      return false;
    }
  };
  const list = String(headers['webhook-signature']);
  const standard = list.split(' ').map((entry) => made((secret) => verifiesStandard(secret, entry)));
  // A receiver looks for its own in the whole list.
  for (const name of names) expect(verifiesStandard(secrets[name] ?? '', list)).toBe(standard.includes(name));
  return {
    body: made((secret) => createHmac('sha256', secret).update(body).digest('hex') === hex),
    standard,
  };
}

const newAlone = { body: 'now', standard: ['now'] };
const both = { body: 'before', standard: ['now', 'before'] };

test('until the overlap ends, to the millisecond, the previous secret signs the body', () => {
  const previousUntil = new Date('2024-01-10T12:00:00.000Z');
  const at = (ms: number) => new Date(previousUntil.getTime() + ms);
  const choose = (now: Date) => signingSecrets({ current: 'now', previous: 'before', previousUntil, now });
  expect(choose(at(-1))).toEqual(both);
  expect(choose(at(0))).toEqual(newAlone);
  expect(choose(at(1))).toEqual(newAlone);
  const none = { current: 'now', previous: null, previousUntil: null };
  expect(signingSecrets({ ...none, now: at(-1) })).toEqual(newAlone);
});

test('a secret is due when it is older than 90 days', () => {
  const createdAt = new Date('2024-01-10T12:00:00.000Z');
  expect(isSecretDue(createdAt, createdAt)).toBe(false);
  expect(isSecretDue(createdAt, new Date('2024-04-09T12:00:00.000Z'))).toBe(false);
  expect(isSecretDue(createdAt, new Date('2024-04-09T12:00:00.001Z'))).toBe(true);
});

test('deliveries are signed rightly before, during and after an overlap that is finished early', async () => {
  const webhook = await newWebhook();
  const { secret: old } = webhook;
  expect(await webhook.signersOfNext({ before: old })).toEqual({ body: 'before', standard: ['before'] });
  expect(await webhook.read()).toMatchObject({ secret_due: false, previous_secret_until: null });

  const before = await webhook.read();
  const rotated = await webhook.rotate();
  const { secret, ...shown } = rotated.body;
  expect(rotated.status).toBe(200);
  expect(rotated.headers.get('cache-control')).toBe('no-store');
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(secret).not.toBe(old);
  expect(await webhook.read()).toMatchObject(shown);
  expect(shown.secret_created_at > before.secret_created_at).toBe(true);
  expect(shown.updated_at > before.updated_at).toBe(true);
  // 24 hours by default.
  expect(Date.parse(shown.previous_secret_until ?? '') - Date.parse(shown.secret_created_at)).toBe(
    86_400_000,
  );
  expect(await webhook.readSecret()).toEqual({
    webhook_id: webhook.id,
    secret,
    previous_secret: old,
    previous_secret_until: shown.previous_secret_until,
  });
  const secrets = { now: secret, before: old };
  expect(await webhook.signersOfNext(secrets)).toEqual(both);
  const tested = await service.call('POST', '/v1/webhooks/test', {
    webhook_id: webhook.id,
    event: 'document.processed',
  });
  expect(tested.status).toBe(200);
  const testEvent = webhook.requests().at(-1);
  expect(testEvent?.headers['x-fltr-test']).toBe('true');
  expect(testEvent && signersOf(testEvent, secrets)).toEqual(both);

  const finished = await webhook.finish();
  expect(finished.status).toBe(200);
  expect(finished.text).not.toContain('whsec_');
  expect(finished.body.previous_secret_until).toBeNull();
  expect(await webhook.readSecret()).toEqual({
    webhook_id: webhook.id,
    secret,
    previous_secret: null,
    previous_secret_until: null,
  });
  expect(await webhook.signersOfNext(secrets)).toEqual(newAlone);
  // There is none to end: the same response.
  expect((await webhook.finish()).body).toEqual(finished.body);

  const { rows } = await service.pool.query<{ action: string; account_id: string; row: string }>(
    `select action, account_id, audit_records::text as row from audit_records where target = $1 order by id`,
    [webhook.id],
  );
  expect(rows.map(({ action }) => action)).toEqual([
    'webhook.created',
    'webhook.secret_rotated',
    'webhook.secret_read',
    'webhook.secret_overlap_ended',
    'webhook.secret_read',
  ]);
  expect(rows.every(({ account_id }) => account_id === service.accountId)).toBe(true);
  expect(JSON.stringify(rows)).not.toContain('whsec_');
});

test('an overlap of two secrets ends by itself', async () => {
  const webhook = await newWebhook();
  const { secret } = (await webhook.rotate({ overlap_seconds: 1 })).body;
  await until(
    () => webhook.read(),
    ({ previous_secret_until: until }) => until === null,
  );
  expect(await webhook.readSecret()).toMatchObject({ secret, previous_secret: null });
  expect(await webhook.signersOfNext({ now: secret, before: webhook.secret })).toEqual(newAlone);
  // The end has passed: nothing is left to end, and nothing changes but that the old one is wiped.
  const before = await webhook.read();
  expect(before).toMatchObject((await webhook.finish()).body);
});

test('without an overlap the new secret signs alone at once', async () => {
  const webhook = await newWebhook();
  const { secret, previous_secret_until: end } = (await webhook.rotate({ overlap_seconds: 0 })).body;
  expect(end).toBeNull();
  expect(await webhook.readSecret()).toMatchObject({ secret, previous_secret: null });
  expect(await webhook.signersOfNext({ now: secret, before: webhook.secret })).toEqual(newAlone);
});

test('while an overlap runs, a second rotation is refused, with the end of the overlap', async () => {
  const webhook = await newWebhook();
  const first = (await webhook.rotate({ overlap_seconds: 600 })).body;
  for (const body of [undefined, { overlap_seconds: 0 }, { end_overlap: false }]) {
    const refused = await webhook.rotate(body);
    expect([refused.status, refused.body]).toMatchObject([409, { code: 'rotation_under_way' }]);
    expect(refused.text).toContain(first.previous_secret_until);
    expect(refused.text).toContain('end_overlap');
    expect(refused.text).not.toContain('whsec_');
  }
  expect(await webhook.readSecret()).toMatchObject({ secret: first.secret, previous_secret: webhook.secret });
  const secrets = { now: first.secret, before: webhook.secret };
  expect(await webhook.signersOfNext(secrets)).toEqual(both);
  // Once it is ended, there is nothing to protect.
  await webhook.finish();
  expect((await webhook.rotate()).status).toBe(200);
});

test('with end_overlap, the secret between is the previous one, and the first one ends', async () => {
  const webhook = await newWebhook();
  const { secret: before } = (await webhook.rotate({ overlap_seconds: 600 })).body;
  const { secret: now } = (await webhook.rotate({ overlap_seconds: 60, end_overlap: true })).body;
  expect(await webhook.readSecret()).toMatchObject({ secret: now, previous_secret: before });
  expect(await webhook.signersOfNext({ now, before, first: webhook.secret })).toEqual(both);
});

test('of rotations at the same time, one is made', async () => {
  const webhook = await newWebhook();
  const responses = await Promise.all(Array.from({ length: 10 }, () => webhook.rotate()));
  expect(responses.filter(({ status }) => status === 409)).toHaveLength(9);
  const made = responses.find(({ status }) => status === 200);
  expect(await webhook.readSecret()).toMatchObject({
    secret: made?.body.secret,
    previous_secret: webhook.secret,
  });
});

test('of rotations at the same time that all end an overlap, one follows the other', async () => {
  const webhook = await newWebhook();
  const responses = await Promise.all(
    Array.from({ length: 10 }, () => webhook.rotate({ end_overlap: true })),
  );
  const secrets = responses.map(({ body }) => body.secret);
  expect(new Set(secrets).size).toBe(10);
  const { secret, previous_secret: previous } = await webhook.readSecret();
  expect(secrets).toContain(secret);
  expect(secrets).toContain(previous);
  expect(previous).not.toBe(secret);
});

test('an Idempotency-Key of a refused rotation is good for the next one, and repeats that', async () => {
  const webhook = await newWebhook();
  const first = await webhook.rotate(undefined, { 'Idempotency-Key': 'first' });
  const header = { 'Idempotency-Key': crypto.randomUUID() };
  expect((await webhook.rotate(undefined, header)).status).toBe(409);
  // The overlap runs, but the call is the one that began it.
  const repeated = await webhook.rotate(undefined, { 'Idempotency-Key': 'first' });
  expect([repeated.status, repeated.text]).toEqual([200, first.text]);
  const rotated = await webhook.rotate({ end_overlap: true }, header);
  const again = await webhook.rotate({ end_overlap: true }, header);
  expect([again.status, again.text]).toEqual([200, rotated.text]);
  expect(await webhook.readSecret()).toMatchObject({ secret: rotated.body.secret });
});

test('a call repeated with its Idempotency-Key rotates once', async () => {
  const [one, other] = [await newWebhook(), await newWebhook()];
  const header = { 'Idempotency-Key': crypto.randomUUID() };
  const responses = [await one.rotate(undefined, header), await one.rotate(undefined, header)];
  expect(responses[1]?.text).toBe(responses[0]?.text);
  expect(responses[1]?.headers.get('idempotent-replayed')).toBe('true');
  expect(await one.readSecret()).toMatchObject({
    secret: responses[0]?.body.secret,
    previous_secret: one.secret,
  });
  expect((await one.rotate({ overlap_seconds: 5 }, header)).status).toBe(422);
  // The same key at another webhook is another request.
  const elsewhere = await other.rotate(undefined, header);
  expect(elsewhere.body.webhook_id).toBe(other.id);
  expect(elsewhere.headers.get('idempotent-replayed')).toBeNull();
});

test.each([{ overlap_seconds: 604_800 }, { overlap_seconds: 0 }, {}])(
  'overlap_seconds %j is accepted',
  async (body) => {
    const webhook = await newWebhook();
    const response = await webhook.rotate(body);
    expect(response.status).toBe(200);
    const { previous_secret_until: end, secret_created_at: start } = response.body;
    const seconds = end === null ? 0 : (Date.parse(end) - Date.parse(start)) / 1000;
    expect(seconds).toBe(body.overlap_seconds ?? 86_400);
  },
);

test('an overlap that is no whole number from 0 to 604800 is refused, and nothing changes', async () => {
  const webhook = await newWebhook();
  for (const overlap of [604_801, -1, 1.5, '60', null, true, 1e300]) {
    const refused = await webhook.rotate({ overlap_seconds: overlap });
    expect([refused.status, refused.text]).toEqual([422, expect.stringContaining('"/overlap_seconds"')]);
  }
  expect((await webhook.rotate({ overlap: 60 })).status).toBe(422);
  expect((await webhook.rotate({ end_overlap: 'yes' })).status).toBe(422);
  expect((await webhook.rotate([])).status).toBe(422);
  expect((await webhook.rotate('{')).status).toBe(400);
  expect(await webhook.readSecret()).toMatchObject({ secret: webhook.secret, previous_secret: null });
});

test("another account's key rotates nothing, and ends no overlap", async () => {
  const webhook = await newWebhook();
  await webhook.rotate();
  const before = await webhook.readSecret();
  const { key } = await service.newAccount();
  for (const path of ['rotate-secret', 'rotate-secret/finish', 'secret']) {
    const method = path === 'secret' ? 'GET' : 'POST';
    const response = await call(service.apiUrl, key, method, `/v1/webhooks/${webhook.id}/${path}`);
    expect(response.status).toBe(404);
  }
  expect(await webhook.readSecret()).toEqual(before);
});

test('a retry is signed with the secrets of its own time, not those of the first attempt', async () => {
  const { accountId, key } = await service.newAccount();
  const mine = <T>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  const path = `/${crypto.randomUUID()}`;
  const requests = () => receiver.requests.filter((request) => request.path === path);
  const created = await mine<Webhook>('POST', '/v1/webhooks', { url: receiver.url + path, events: ['*'] });
  const { webhook_id: id, secret: before } = created.body;
  const asAccount: Service = { ...service, accountId, key, call: mine };
  responseStatus = 503;
  const published = await mine<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  const delivery = published.body.deliveries[0]?.id ?? '';
  await waitForStatus(asAccount, delivery, 'retrying', 1);
  const retry = async (attempts: number) => {
    expect((await mine('POST', `/v1/deliveries/${delivery}/retry`)).status).toBe(202);
    await until(requests, ({ length }) => length === attempts);
  };

  const rotated = await mine<Webhook>('POST', `/v1/webhooks/${id}/rotate-secret`);
  const secrets = { now: rotated.body.secret, before };
  await retry(2);
  await waitForStatus(asAccount, delivery, 'retrying', 2);
  await mine('POST', `/v1/webhooks/${id}/rotate-secret/finish`);
  responseStatus = 200;
  await retry(3);
  await waitForStatus(asAccount, delivery, 'delivered', 3);

  expect(requests().map((request) => signersOf(request, secrets))).toEqual([
    { body: 'before', standard: ['before'] },
    both,
    newAlone,
  ]);
});

test('an old secret is reported as due, until it is rotated', async () => {
  const webhook = await newWebhook();
  await service.pool.query(
    `update webhooks set secret_created_at = now() - interval '90 days 1 second' where id = $1`,
    [webhook.id],
  );
  expect((await webhook.read()).secret_due).toBe(true);
  expect((await webhook.rotate()).body.secret_due).toBe(false);
});

test('secrets are in no list, sealed in the database, and wiped with their webhook', async () => {
  const webhook = await newWebhook();
  const { secret } = (await webhook.rotate()).body;
  const read = await service.call('GET', `/v1/webhooks/${webhook.id}`);
  const list = await service.call('GET', '/v1/webhooks');
  const patched = await service.call('PATCH', `/v1/webhooks/${webhook.id}`, { description: 'rotated' });
  for (const { text, status } of [read, list, patched]) {
    expect(status).toBe(200);
    expect(text).not.toContain('whsec_');
  }
  const row = async () =>
    (
      await service.pool.query<{ text: string; sealed: (string | null)[] }>(
        `select webhooks::text as text, array[sealed_secret, previous_sealed_secret, previous_secret_until::text] as sealed
         from webhooks where id = $1`,
        [webhook.id],
      )
    ).rows[0];
  const before = await row();
  for (const one of [secret, webhook.secret]) expect(before?.text).not.toContain(one.slice(6));
  expect(before?.sealed).not.toContain(null);
  await service.call('DELETE', `/v1/webhooks/${webhook.id}`);
  expect((await row())?.sealed).toEqual([null, null, null]);
  expect((await webhook.rotate()).status).toBe(404);
  expect((await webhook.finish()).status).toBe(404);
});

test('an inactive webhook is rotated too', async () => {
  const webhook = await newWebhook();
  await service.call('PATCH', `/v1/webhooks/${webhook.id}`, { active: false });
  const { deliveries } = await service.publish();
  const delivery = deliveries.find(({ webhook_id: id }) => id === webhook.id)?.id ?? '';
  const { secret } = (await webhook.rotate()).body;
  await service.call('PATCH', `/v1/webhooks/${webhook.id}`, { active: true });
  await waitForStatus(service, delivery, 'delivered');
  const [request] = webhook.requests();
  expect(request && signersOf(request, { now: secret, before: webhook.secret })).toEqual(both);
});
