import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Attempt } from '../../src/contracts/attempt-schema.ts';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { acceptOperationalEvents } from '../../src/db/operational-events.ts';
import { withTransaction } from '../../src/db/pool.ts';
import { newId } from '../../src/domain/ids.ts';
import { createMailer } from '../../src/outbound/mailer.ts';
import { waitForStatus, workflowStatus } from '../kit/delivery-steps.ts';
import { headerOf, startMailServer } from '../kit/mail-server.ts';
import { portalCalls } from '../kit/portal.ts';
import { atOnce, call, startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let service: Service;
let mailServer: Awaited<ReturnType<typeof startMailServer>>;
let receiver: Receiver;
/** Replies to the next messages of an address. */
const replies = new Map<string, number[]>();
beforeAll(async () => {
  [mailServer, receiver] = await Promise.all([
    startMailServer({
      to: (address) => (address.startsWith('unknown') ? 550 : null),
      message: ({ to }) => replies.get(to[0] ?? '')?.shift() ?? null,
    }),
    startReceiver((_request, response) => void response.writeHead(404).end()),
  ]);
  service = await startService({
    FLTR_SMTP_URL: `smtp://127.0.0.1:${mailServer.port}`,
    FLTR_SMTP_FROM: 'alerts@fltr.example',
    FLTR_PRODUCT_NAME: 'Äcme, "Alerts"',
    FLTR_PUBLIC_URL: 'https://webhooks.example.com',
    FLTR_RETRY_SCHEDULE_SECONDS: '1,1',
  });
});
afterAll(() => stopAll(service, receiver, mailServer));

type Problem = { code: string; detail: string; errors: { pointer: string; message: string }[] };
type Alert = { webhook_id: string; format: string; rate_limit: unknown };

/** An account of its own, so that the limits of tests do not meet. */
async function newAccount() {
  const { accountId, key } = await service.newAccount();
  const as = <T = Alert & Problem>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  const create = (url: string, more: Record<string, unknown> = {}) =>
    as('POST', '/v1/webhooks', { url, events: ['webhook.*', 'delivery.*'], ...more });
  return { accountId, key, as, create };
}

const sentTo = (address: string) => mailServer.mails.filter(({ to }) => to.includes(address));
const mailTo = async (address: string) => {
  const [mail] = await until(
    () => sentTo(address),
    (mails) => mails.length > 0,
  );
  if (!mail) throw new Error('unreachable');
  return mail;
};

/** Emits an operational event of an account; the event's id. */
async function emit(accountId: string, data: Record<string, unknown>): Promise<string> {
  const id = newId('evt');
  await withTransaction(service.pool, (client) =>
    acceptOperationalEvents(client, [{ accountId, id, type: 'webhook.down', data, webhookId: 'wh_other' }]),
  );
  return id;
}

/** The delivery of an event to the only alert of the account, with this key. */
async function deliveryOf(key: string, eventId: string, status: Delivery['status'], attempts: number) {
  const own: Service = {
    ...service,
    call: (method, path, body) => call(service.apiUrl, key, method, path, body),
  };
  const { rows } = await service.pool.query<{ id: string }>('select id from deliveries where event_id = $1', [
    eventId,
  ]);
  return waitForStatus(own, rows[0]?.id ?? '', status, attempts);
}

test('a failed delivery of another webhook arrives as an e-mail, through Temporal and in the log', async () => {
  const { as, create, key } = await newAccount();
  const alert = await create('mailto:ops@ok.example,dev@ok.example');
  expect(alert.status).toBe(201);
  expect(alert.body).toMatchObject({ format: 'email', rate_limit: { attempts: 30, seconds: 3600 } });
  const broken = await as('POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
  const published = await as<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });

  const mail = await mailTo('ops@ok.example');
  expect(mail).toMatchObject({ from: 'alerts@fltr.example', to: ['ops@ok.example', 'dev@ok.example'] });
  expect(headerOf(mail, 'Subject')).toBe(`Delivery failed: ${broken.body.webhook_id}`);
  expect(headerOf(mail, 'Auto-Submitted')).toBe('auto-generated');
  const failedId = published.body.deliveries[0]?.id ?? '';
  // Long lines are folded.
  const source = mail.source.replaceAll('=\r\n', '');
  for (const link of [`/log/${failedId}`, `/webhooks/${broken.body.webhook_id}`]) {
    expect(source).toContain(`https://webhooks.example.com${link}\r\n`);
    expect(source).toContain(`href=3D"https://webhooks.example.com${link}"`);
  }
  expect(mail.source).toContain('text/html');

  const list = await until(
    () => as<{ data: Delivery[] }>('GET', `/v1/deliveries?webhook_id=${alert.body.webhook_id}`),
    ({ body }) => body.data[0]?.status === 'delivered',
  );
  const id = list.body.data[0]?.id ?? '';
  const { body: delivery } = await as<Delivery>('GET', `/v1/deliveries/${id}`);
  expect(delivery.attempts[0]).toMatchObject({
    outcome: 'delivered',
    status_code: 250,
    request: {
      method: 'EMAIL',
      url: 'mailto:ops@ok.example,dev@ok.example',
      headers: { To: 'ops@ok.example, dev@ok.example' },
      signature_headers: [],
      format: 'email',
    },
  });
  expect(headerOf(mail, 'Message-ID')).toBe(`<${delivery.event_id}.${alert.body.webhook_id}@fltr.example>`);
  expect(
    await workflowStatus({ ...service, call: (m, p, b) => call(service.apiUrl, key, m, p, b) }, id),
  ).toBe('COMPLETED');
});

test('4xx is retried with the same Message-ID; 5xx and unknown addresses end the delivery', async () => {
  const { accountId, key, create } = await newAccount();
  const alert = await create('mailto:busy@ok.example');
  replies.set('busy@ok.example', [451]);
  const retried = await deliveryOf(key, await emit(accountId, { webhook_id: 'wh_1' }), 'delivered', 2);
  expect(retried.attempts[0]).toMatchObject({
    outcome: 'retry',
    status_code: null,
    error: { code: 'email_failed', message: expect.stringContaining('451') as string },
  });
  replies.set('busy@ok.example', [552]);
  const refused = await deliveryOf(key, await emit(accountId, { webhook_id: 'wh_1' }), 'failed', 1);
  expect(refused).toMatchObject({
    reason: 'email_rejected',
    attempts: [{ error: { code: 'email_rejected', message: expect.stringContaining('552') as string } }],
  });

  const path = `/v1/webhooks/${alert.body.webhook_id}`;
  const as = (url: string) => call<Alert & Problem>(service.apiUrl, key, 'PATCH', path, { url });
  expect((await as('mailto:unknown@ok.example')).status).toBe(200);
  const unknown = await deliveryOf(key, await emit(accountId, { webhook_id: 'wh_1' }), 'failed', 1);
  expect(unknown.attempts[0]?.error?.code).toBe('email_rejected');

  // One of two addresses is unknown: the other one gets it, and the log has a line about the first.
  await as('mailto:unknown@ok.example,known@ok.example');
  const partly = await deliveryOf(key, await emit(accountId, { webhook_id: 'wh_1' }), 'delivered', 1);
  expect(partly.attempts[0]?.response?.body).toContain('Rejected: unknown@ok.example');
  expect((await mailTo('known@ok.example')).to).toEqual(['known@ok.example']);
});

test('a hanging, closing or refusing mail server is retried within the limit of an attempt; its password is not shown', async () => {
  const open = new Set<Socket>();
  const listening = async (onConnection: (socket: Socket) => void) => {
    const server = createServer((socket) => {
      open.add(socket.on('error', () => undefined));
      onConnection(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      open.forEach((socket) => socket.destroy());
      server.close();
    });
    return (server.address() as { port: number }).port;
  };
  const mail = { to: ['a@ok.example'], subject: 's', text: 't', html: 'h', id: 'evt_1' };
  const send = async (port: number, credentials: { user: string; pass: string } | null = null) => {
    const server = { host: '127.0.0.1', port, isTls: false, credentials };
    const mailer = createMailer({ server, name: 'FLTR', address: 'alerts@fltr.example', publicUrl: null });
    onTestFinished(() => mailer.close());
    return mailer.send({ mail, accountId: 'acc_1', timeoutMs: 500 });
  };
  const silent = await send(await listening(() => undefined));
  expect(silent).toMatchObject({ kind: 'failed', code: 'email_failed' });
  expect(silent.durationMs).toBeLessThan(2000);
  expect(await send(await listening((socket) => socket.end()))).toMatchObject({ code: 'email_failed' });
  // Nothing listens at port 1.
  expect(await send(1)).toMatchObject({ code: 'email_failed' });

  const secured = await startMailServer(undefined, {
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ password }, _session, done) =>
      password === 'right' ? done(null, { user: 'u' }) : done(new Error('wrong: secret-password')),
  });
  onTestFinished(() => secured.stop());
  const refused = await send(secured.port, { user: 'u', pass: 'secret-password' });
  expect(refused).toMatchObject({ code: 'email_failed' });
  expect(JSON.stringify(refused)).not.toContain('secret-password');
  expect(await send(secured.port, { user: 'u', pass: 'right' })).toMatchObject({
    kind: 'responded',
    statusCode: 250,
  });
});

test('the data of an event cannot become a header, an address or HTML', async () => {
  const { accountId, key, create } = await newAccount();
  await create('mailto:safe@ok.example');
  const evil = 'wh_1\r\nBcc: victim@ok.example\r\n\r\n<script>alert(1)</script>\u2028\u0000';
  const eventId = await emit(accountId, { webhook_id: evil, [`a\r\nCc: victim@ok.example`]: evil });
  await deliveryOf(key, eventId, 'delivered', 1);
  const mail = await mailTo('safe@ok.example');
  const head = mail.source.slice(0, mail.source.indexOf('\r\n\r\n'));
  expect(head).not.toMatch(/^(bcc|cc):/im);
  expect(mail.to).toEqual(['safe@ok.example']);
  expect(sentTo('victim@ok.example')).toEqual([]);
  expect(mail.source.slice(mail.source.indexOf('text/html'))).not.toContain('<script>');
  expect(head).toContain('From: =?UTF-8?');
});

test('URLs that are no plain addresses, other events and settings of requests are refused', async () => {
  const { create } = await newAccount();
  const refused = async (url: string, more: Record<string, unknown> = {}) => {
    const { status, body } = await create(url, more);
    expect([url, status]).toEqual([url, 422]);
    return body.errors.map(({ pointer }) => pointer);
  };
  const bad = [
    'mailto:',
    'mailto:a',
    'mailto:a@b.example?bcc=c@d.example',
    'mailto:a@b.example%0d%0aBcc:c@d.example',
    'mailto:a@b.example\r\nBcc: c@d.example',
    'mailto:"a b"@c.example',
    'mailto:a@b.example,A@b.example',
    'mailto:a@b.example,',
    'mailto:a@[127.0.0.1]',
    'mailto:ä@b.example',
    'MAILTO:a@b.example',
    'mailto:<a@b.example>',
    `mailto:${'a'.repeat(65)}@b.example`,
    `mailto:${[1, 2, 3, 4, 5, 6].map((n) => `a${n}@b.example`).join(',')}`,
  ];
  for (const url of bad) expect(await refused(url)).toEqual(['/url']);
  const ok = 'mailto:a@b.example';
  expect(await refused(ok, { events: ['*'] })).toEqual(['/events']);
  expect(await refused(ok, { events: ['webhook.down', 'document.deleted'] })).toEqual(['/events']);
  expect(await refused(ok, { format: 'slack' })).toEqual(['/format']);
  expect(await refused(ok, { headers: { 'X-A': 'b' } })).toEqual(['/headers']);
  expect(await refused(ok, { auth: { type: 'bearer', token: 'x' } })).toEqual(['/auth']);
  expect(await refused(ok, { signatures: ['v1', 'v1a'] })).toEqual(['/signatures']);
  expect(await refused(ok, { rate_limit: { attempts: 100, seconds: 1 } })).toEqual(['/rate_limit']);
  expect(await refused(ok, { rate_limit: { attempts: 101, seconds: 3600 } })).toEqual(['/rate_limit']);
  expect(await refused('https://fltr.example/', { format: 'email' })).toEqual(['/url']);
});

test('a webhook never changes between requests and e-mails, also by PUT', async () => {
  const { as, create } = await newAccount();
  const alert = await create('mailto:a@b.example', { external_id: 'alert' });
  const other = await as('POST', '/v1/webhooks', {
    url: 'https://fltr.example/',
    events: ['webhook.*'],
    external_id: 'other',
  });
  const change = async (id: string, body: unknown) => (await as('PATCH', `/v1/webhooks/${id}`, body)).status;
  const [a, b] = [alert.body.webhook_id, other.body.webhook_id];
  expect(await change(a, { url: 'https://fltr.example/' })).toBe(422);
  expect(await change(a, { events: ['document.*'] })).toBe(422);
  expect(await change(a, { rate_limit: null })).toBe(422);
  expect(await change(a, { format: 'fltr' })).toBe(422);
  expect(await change(a, { headers: { 'X-A': 'b' } })).toBe(422);
  expect(await change(b, { url: 'mailto:a@b.example' })).toBe(422);
  expect(await change(b, { url: 'mailto:a@b.example', format: 'email' })).toBe(422);
  expect(await change(b, { format: 'email' })).toBe(422);
  const put = (id: string, body: unknown) => as('PUT', `/v1/webhooks/${id}`, body);
  expect((await put('other', { url: 'mailto:a@b.example', events: ['webhook.*'] })).status).toBe(422);
  expect((await put('alert', { url: 'https://fltr.example/', events: ['webhook.*'] })).status).toBe(422);
  expect(await put('alert', { url: 'mailto:c@b.example', events: ['webhook.down'] })).toMatchObject({
    status: 200,
    body: { webhook_id: a, format: 'email', rate_limit: { attempts: 30, seconds: 3600 } },
  });
  const created = await put('third', { url: 'mailto:c@b.example', events: ['webhook.down'] });
  expect(created).toMatchObject({ status: 201, body: { format: 'email', rate_limit: { attempts: 30 } } });
  expect(await change(a, { events: ['webhook.disabled'], rate_limit: { attempts: 5, seconds: 3600 } })).toBe(
    200,
  );
});

test('an account has at most 10 e-mail webhooks, also when calls race', async () => {
  const { create } = await newAccount();
  const statuses = (await atOnce(14, () => create('mailto:a@b.example'))).map(({ status }) => status);
  expect(statuses.filter((status) => status === 201)).toHaveLength(10);
  expect(statuses.filter((status) => status === 409)).toHaveLength(4);
  expect((await create('https://fltr.example/')).status).toBe(201);
});

test('the limit of e-mails an hour holds for operational events; the others wait', async () => {
  const { accountId, key, create } = await newAccount();
  await create('mailto:many@ok.example', { rate_limit: { attempts: 2, seconds: 3600 } });
  const ids = [];
  for (let index = 0; index < 4; index += 1) ids.push(await emit(accountId, { webhook_id: `wh_${index}` }));
  const read = async () =>
    (await call<{ data: Delivery[] }>(service.apiUrl, key, 'GET', '/v1/deliveries')).body.data;
  const all = await until(
    read,
    (now) =>
      now.length === 4 &&
      now.every(({ status, next_attempt_at: at }) => status === 'delivered' || at !== null),
  );
  expect(all.filter(({ status }) => status === 'delivered')).toHaveLength(2);
  expect(sentTo('many@ok.example')).toHaveLength(2);
  expect(all.filter(({ status }) => status === 'pending')).toHaveLength(2);
});

test('a test alert is sent at once, is named as a test, and is limited', async () => {
  const { as, create } = await newAccount();
  const { webhook_id } = (await create('mailto:try@ok.example')).body;
  const sendTest = () =>
    as<{ attempt: Attempt } & Problem>('POST', '/v1/webhooks/test', { webhook_id, event: 'webhook.down' });
  expect(await sendTest()).toMatchObject({ status: 200, body: { attempt: { outcome: 'delivered' } } });
  expect(headerOf(await mailTo('try@ok.example'), 'Subject')).toBe('[Test] Webhook down: wh_01k');
  for (let sent = 1; sent < 5; sent += 1) expect((await sendTest()).status).toBe(200);
  const limited = await sendTest();
  expect(limited).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
  expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(sentTo('try@ok.example')).toHaveLength(5);
});

test('test events of every operational type reach a webhook', async () => {
  const { as } = await newAccount();
  const { webhook_id } = (await as('POST', '/v1/webhooks', { url: receiver.url, events: ['webhook.*'] }))
    .body;
  for (const event of [
    'webhook.disabled',
    'webhook.warning',
    'webhook.down',
    'webhook.recovered',
    'webhook.secret_due',
    'delivery.failed',
  ])
    expect(await as('POST', '/v1/webhooks/test', { webhook_id, event })).toMatchObject({
      status: 200,
      body: { attempt: { status_code: 404 } },
    });
  expect((await as('POST', '/v1/webhooks/test', { webhook_id, event: 'webhook.nothing' })).status).toBe(422);
});

test('a portal session creates no e-mail alert and changes no address', async () => {
  const { as: asKey, create } = await newAccount();
  const { openNew } = portalCalls(() => service);
  const own = await newAccount();
  const { token } = await openNew({}, own.key);
  const portal = (method: string, path: string, body?: unknown) =>
    call<Alert & Problem>(service.apiUrl, token, method, path, body);
  expect(
    await portal('POST', '/v1/webhooks', { url: 'mailto:a@b.example', events: ['webhook.*'] }),
  ).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/url' }] },
  });
  expect(
    (await portal('POST', '/v1/webhooks', { url: 'https://fltr.example/', events: ['webhook.*'] })).status,
  ).toBe(201);
  const { webhook_id: id } = (await own.create('mailto:a@b.example')).body;
  expect((await portal('PATCH', `/v1/webhooks/${id}`, { url: 'mailto:c@b.example' })).status).toBe(422);
  expect((await portal('PATCH', `/v1/webhooks/${id}`, { active: false })).status).toBe(200);

  // Another account neither sees nor tests it.
  const foreign = (await create('mailto:a@b.example')).body.webhook_id;
  expect((await own.as('GET', `/v1/webhooks/${foreign}`)).status).toBe(404);
  expect(
    (await own.as('POST', '/v1/webhooks/test', { webhook_id: foreign, event: 'webhook.down' })).status,
  ).toBe(404);
  expect((await asKey('GET', `/v1/webhooks/${foreign}`)).status).toBe(200);
});

test('without a mail server, addresses are refused with advice for the operator', async () => {
  const plain = await startService({}, 'api');
  onTestFinished(() => plain.stop());
  const refused = await plain.call<Problem>('POST', '/v1/webhooks', {
    url: 'mailto:a@b.example',
    events: ['webhook.*'],
  });
  expect(refused).toMatchObject({ status: 422, body: { errors: [{ pointer: '/url' }] } });
  expect(refused.body.detail).toContain('FLTR_SMTP_URL');
  expect((await plain.call<{ email_alerts: boolean }>('GET', '/v1/settings')).body.email_alerts).toBe(false);
  expect((await service.call<{ email_alerts: boolean }>('GET', '/v1/settings')).body.email_alerts).toBe(true);
});
