import type { RequestListener } from 'node:http';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { isGroupId } from '../../src/domain/ids.ts';
import { readDelivery, waitForStatus } from '../kit/delivery-steps.ts';
import { startMutualReceiver, type MutualReceiver } from '../kit/mutual-receiver.ts';
import { startOAuthServer, type OAuthServer } from '../kit/oauth-server.ts';
import { makeCertificate, type Certificate } from '../kit/raw-receiver.ts';
import { startService, stopAll, until, type ApiResponse, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let service: Service;
let receiver: Receiver;
let oauth: OAuthServer;
const credentials = { id: 'fltr', secret: 'client-secret-1' };
const rotated = { id: 'fltr-2', secret: 'client-secret-2' };

beforeAll(async () => {
  oauth = await startOAuthServer([credentials, rotated]);
  receiver = await startReceiver((request, response) => {
    if (request.path !== '/protected') return void response.end('ok');
    void oauth
      .accepts(request.headers.authorization)
      .then((isAccepted) => response.writeHead(isAccepted ? 200 : 401).end());
  });
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1,1,1,2,2' });
});
afterAll(() => stopAll(service, receiver, oauth));

type Problem = { code: string; errors: { pointer: string; message: string }[] };
type Auth = Record<string, unknown>;
const create = (auth: Auth, more: Auth = {}) =>
  service.call<Webhook & Problem>('POST', '/v1/webhooks', {
    url: `${receiver.url}/open`,
    events: ['document.deleted'],
    auth,
    ...more,
  });
const patch = (id: string, change: Record<string, unknown>) =>
  service.call<Webhook & Problem>('PATCH', `/v1/webhooks/${id}`, change);
const faultsOf = ({ status, body }: ApiResponse<Problem>) => [
  status,
  ...(body.errors ?? []).map(({ pointer }) => pointer),
];
async function publishTo(webhookId: string): Promise<string> {
  const { deliveries } = await service.publish();
  return deliveries.find((each) => each.webhook_id === webhookId)?.id ?? '';
}
const oauth2 = (more: Auth = {}) => ({
  type: 'oauth2',
  token_url: oauth.tokenUrl,
  client_id: credentials.id,
  client_secret: credentials.secret,
  ...more,
});
const tokenOfLast = () => receiver.requests.at(-1)?.headers.authorization?.slice('Bearer '.length) ?? '';
const remove = (id: string) => service.call('DELETE', `/v1/webhooks/${id}`);
/** A webhook with OAuth for this test alone. */
async function createProtected(more: Auth = {}, policy: Auth = {}): Promise<string> {
  const { body, text, status } = await create(oauth2(more), { url: `${receiver.url}/protected`, ...policy });
  if (status !== 201) throw new Error(text);
  onTestFinished(async () => void (await remove(body.webhook_id)));
  return body.webhook_id;
}

describe('basic and bearer', () => {
  test('are sent as Authorization; fields that are not secret are shown; a change replaces the whole', async () => {
    const password = 'pass: wörd';
    const created = await create({ type: 'basic', username: 'fltr', password });
    expect(created.body.auth).toEqual({ type: 'basic', username: 'fltr' });
    const id = created.body.webhook_id;
    await waitForStatus(service, await publishTo(id), 'delivered');
    const basic = `Basic ${Buffer.from(`fltr:${password}`).toString('base64')}`;
    expect(receiver.requests.at(-1)?.headers.authorization).toBe(basic);
    const changed = await patch(id, { auth: { type: 'bearer', token: 'bearer-token-1' } });
    expect(changed.body.auth).toEqual({ type: 'bearer' });
    await service.call('POST', '/v1/webhooks/test', { webhook_id: id, event: 'document.deleted' });
    expect(receiver.requests.at(-1)?.headers.authorization).toBe('Bearer bearer-token-1');
    // With auth, the header is its own; without it, it is free.
    expect(faultsOf(await patch(id, { headers: { authorization: 'mine' } }))).toEqual([
      422,
      '/headers/authorization',
    ]);
    const free = await patch(id, { auth: null, headers: { authorization: 'mine' } });
    expect([free.body.auth, Object.keys(free.body.headers)]).toEqual([null, ['authorization']]);
    expect(faultsOf(await patch(id, { auth: { type: 'bearer', token: 't' } }))).toEqual([
      422,
      '/headers/authorization',
    ]);
    await waitForStatus(service, await publishTo(id), 'delivered');
    expect(receiver.requests.at(-1)?.headers.authorization).toBe('mine');
    await remove(id);
  });

  test.each<[string, Auth, string]>([
    ['no type', {}, '/auth'],
    ['an unknown type', { type: 'digest', token: 'top-secret' }, '/auth'],
    ['an unknown field', { type: 'bearer', token: 'top-secret', more: 'x' }, '/auth/more'],
    ['no token', { type: 'bearer' }, '/auth/token'],
    ['an empty token', { type: 'bearer', token: '' }, '/auth/token'],
    ['a token with a line break', { type: 'bearer', token: 'top-secret\r\nHost: a' }, '/auth/token'],
    ['a colon in the name', { type: 'basic', username: 'a:b', password: 'top-secret' }, '/auth/username'],
    ['a control character', { type: 'basic', username: 'a', password: 'top-secret\u0000' }, '/auth/password'],
  ])('%s is refused, and no secret is repeated', async (_what, auth, pointer) => {
    const refused = await create(auth);
    expect([refused.status, refused.body.errors[0]?.pointer.startsWith(pointer)]).toEqual([422, true]);
    expect(refused.text).not.toContain('top-secret');
  });
});

describe('oauth2', () => {
  test('an access token is fetched, kept for later attempts, and fetched again once it is revoked', async () => {
    const id = await createProtected();
    const { body } = await service.call<Webhook>('GET', `/v1/webhooks/${id}`);
    expect(body.auth).toEqual({ type: 'oauth2', token_url: oauth.tokenUrl, client_id: credentials.id });
    const before = oauth.tokenRequests();
    await waitForStatus(service, await publishTo(id), 'delivered', 1);
    await waitForStatus(service, await publishTo(id), 'delivered', 1);
    expect(oauth.tokenRequests()).toBe(before + 1);
    const token = tokenOfLast();
    await oauth.revoke(token);
    // The receiver refuses the kept token: that attempt is retried, with a new one.
    const delivery = await waitForStatus(service, await publishTo(id), 'delivered', 2);
    expect(delivery.attempts.map(({ outcome, status_code, error }) => [outcome, status_code, error])).toEqual(
      [
        [
          'retry',
          401,
          {
            code: 'auth_failed',
            message:
              'Response 401: the receiver no longer accepts the access token. The next attempt uses a new one.',
          },
        ],
        ['delivered', 200, null],
      ],
    );
    expect(tokenOfLast()).not.toBe(token);
  });

  test('a receiver that refuses a new token ends the delivery, as any 4xx does', async () => {
    const id = await createProtected({}, { url: `${receiver.url}/protected` });
    const other = await startOAuthServer([credentials]);
    onTestFinished(() => other.close());
    await patch(id, { auth: oauth2({ token_url: other.tokenUrl }) });
    const delivery = await waitForStatus(service, await publishTo(id), 'failed', 1);
    expect(delivery.reason).toBe('client_error');
    // It was not kept, for another one may be accepted.
    await waitForStatus(service, await publishTo(id), 'failed', 1);
    expect(other.tokenRequests()).toBe(2);
  });

  test('without a token the attempt fails with auth_failed, is retried, with the reason', async () => {
    const id = await createProtected({ client_secret: 'wrong-secret' });
    const count = receiver.requests.length;
    const waiting = await publishTo(id);
    const delivery = await until(
      () => readDelivery(service, waiting),
      ({ attempts }) => attempts.length >= 2,
    );
    expect(delivery.status).toBe('retrying');
    expect(delivery.attempts[0]).toMatchObject({ outcome: 'retry', status_code: null, response: null });
    expect(delivery.attempts[0]?.error).toEqual({
      code: 'auth_failed',
      message:
        'No access token: the token URL responded 401 (invalid_client). Check client_id and client_secret.',
    });
    expect(receiver.requests.length).toBe(count);
    // Corrected credentials help a delivery that waits.
    await patch(id, { auth: oauth2() });
    await waitForStatus(service, waiting, 'delivered');
  });

  test('credentials that are replaced while deliveries wait are used by these', async () => {
    const id = await createProtected();
    oauth.replaceWith((_request, response) => response.writeHead(503).end());
    onTestFinished(() => oauth.replaceWith(null));
    const ids = await Promise.all(Array.from({ length: 5 }, () => publishTo(id)));
    for (const each of ids)
      await until(
        () => readDelivery(service, each),
        ({ attempts }) => attempts.length >= 1,
      );
    await patch(id, { auth: oauth2({ client_id: rotated.id, client_secret: rotated.secret }) });
    oauth.replaceWith(null);
    for (const each of ids) await waitForStatus(service, each, 'delivered');
    expect(await oauth.accepts(receiver.requests.at(-1)?.headers.authorization)).toBe(true);
  });

  test('a token URL that hangs uses the time of the attempt, and no more', async () => {
    const id = await createProtected({}, { timeout_ms: 1000 });
    oauth.replaceWith(() => undefined);
    onTestFinished(() => oauth.replaceWith(null));
    const waiting = await publishTo(id);
    const { attempts } = await until(
      () => readDelivery(service, waiting),
      (delivery) => delivery.attempts.length >= 1,
    );
    expect(attempts[0]?.error?.code).toBe('auth_failed');
    expect(attempts[0]?.duration_ms).toBeGreaterThanOrEqual(995);
    expect(attempts[0]?.duration_ms).toBeLessThan(1800);
    oauth.replaceWith(null);
    await waitForStatus(service, waiting, 'delivered');
  });

  test('a token that comes late delays an attempt under a rate limit, and ends none', async () => {
    const id = await createProtected({}, { rate_limit: { attempts: 1, seconds: 1 } });
    const slow: RequestListener = (_request, response) => {
      setTimeout(() => response.writeHead(503).end(), 600);
    };
    // Later than a slot may be used; the first one even gets no token.
    oauth.replaceWith(slow);
    onTestFinished(() => oauth.replaceWith(null));
    const ids = [await publishTo(id), await publishTo(id)];
    await until(
      () => readDelivery(service, ids[0] ?? ''),
      ({ attempts }) => attempts.length >= 1,
    );
    oauth.replaceWith(null);
    oauth.delayBy(600);
    onTestFinished(() => oauth.delayBy(0));
    for (const each of ids) await waitForStatus(service, each, 'delivered');
  });

  test('a test event shows that no token came', async () => {
    const id = await createProtected({ client_secret: 'wrong-secret' });
    const { body } = await service.call<{ attempt: { error: { code: string } } }>(
      'POST',
      '/v1/webhooks/test',
      {
        webhook_id: id,
        event: 'document.deleted',
      },
    );
    expect(body.attempt.error.code).toBe('auth_failed');
  });

  test.each([
    'http://example.com/token',
    'https://10.0.0.1/token',
    'https://169.254.169.254/token',
    'https://user:pass@example.com/token',
    'https://*.example.com/token',
    'ftp://example.com/token',
    'not a URL',
  ])('the token URL %s is refused', async (tokenUrl) => {
    expect(faultsOf(await create(oauth2({ token_url: tokenUrl })))).toEqual([422, '/auth/token_url']);
  });
});

test('in a burst, deliveries with oauth2 or mtls are in no group; with basic and bearer they may be', async () => {
  const { cert: certificate, key } = makeCertificate(['client.test']);
  const policies: [Auth, boolean][] = [
    [{ type: 'basic', username: 'fltr', password: 'pass' }, true],
    [{ type: 'bearer', token: 'token' }, true],
    [oauth2(), false],
    [{ type: 'mtls', certificate, key }, false],
  ];
  const mayShare = new Map<string, boolean>();
  for (const [auth, isShared] of policies) {
    const { body } = await create(auth);
    mayShare.set(body.webhook_id, isShared);
    onTestFinished(async () => void (await remove(body.webhook_id)));
  }
  // More at once than are started each by itself.
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const { body } = await service.call<{ data: { deliveries: { id: string; webhook_id: string }[] }[] }>(
    'POST',
    '/v1/events/batch',
    { events: Array.from({ length: 20 }, () => event) },
  );
  const deliveries = body.data.flatMap((accepted) => accepted.deliveries);
  expect(deliveries).toHaveLength(80);
  const grouped = new Set<boolean | undefined>();
  for (const { id, webhook_id: webhookId } of deliveries) {
    await waitForStatus(service, id, 'delivered', 1);
    const { rows } = await service.pool.query<{ entry: { workflow_id?: string } }>(
      `select jsonb_array_elements(timeline) as entry from deliveries where id = $1`,
      [id],
    );
    if (rows.some(({ entry }) => isGroupId(entry.workflow_id ?? ''))) grouped.add(mayShare.get(webhookId));
  }
  expect([...grouped]).toEqual(service.env['FLTR_DELIVERIES_PER_WORKFLOW'] === '1' ? [] : [true]);
});

describe('mtls', () => {
  const mtls = ({ ca, one }: MutualReceiver, { cert, key }: Certificate = one) => ({
    type: 'mtls',
    certificate: cert,
    key,
    ca,
  });

  test('the receiver sees the certificate; a replaced one is used by deliveries that wait', async () => {
    const mutual = await startMutualReceiver();
    const { url, seen, two } = mutual;
    const created = await create(mtls(mutual), { url });
    expect([created.status, created.body.auth]).toEqual([201, { type: 'mtls' }]);
    const id = created.body.webhook_id;
    onTestFinished(async () => void (await remove(id)));
    await waitForStatus(service, await publishTo(id), 'delivered', 1);
    expect(seen).toEqual([{ name: 'one', path: '/mutual' }]);

    // A certificate that the receiver does not know: retried, with words for the owner.
    const stranger = makeCertificate(['stranger.test']);
    await patch(id, { auth: mtls(mutual, stranger) });
    const waiting = await publishTo(id);
    const refused = await until(
      () => readDelivery(service, waiting),
      ({ attempts }) => attempts.length >= 1,
    );
    expect(refused.attempts[0]?.error?.code).toBe('connection_closed');
    expect(refused.attempts[0]?.error?.message).toMatch(
      /does not accept the client certificate of this webhook/,
    );
    await patch(id, { auth: mtls(mutual, two) });
    await waitForStatus(service, waiting, 'delivered');
    expect(seen.map(({ name }) => name)).toEqual(['one', 'two']);
  });

  test('a certificate without its key, and PEM that cannot be read, are refused in words', async () => {
    const mutual = await startMutualReceiver();
    const { url, two } = mutual;
    const wrong = { ...mtls(mutual), key: two.key };
    const refused = await create(wrong, { url });
    expect(faultsOf(refused)).toEqual([422, '/auth/key']);
    expect(refused.body.errors[0]?.message).toMatch(/^auth\.key does not belong to the certificate\. Send/);
    expect(faultsOf(await create({ ...mtls(mutual), certificate: 'x' }, { url }))).toEqual([
      422,
      '/auth/certificate',
    ]);
    expect(faultsOf(await create({ ...mtls(mutual), ca: 'x' }, { url }))).toEqual([422, '/auth/ca']);
    expect(refused.text).not.toContain(two.key.split('\n')[1]);
  });
});
