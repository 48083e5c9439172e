import { createHmac, randomBytes } from 'node:crypto';
import type { Browser } from 'playwright-core';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { scopes } from '../../src/security/api-keys.ts';
import { launchBrowser, openTab } from '../kit/browser.ts';
import { heading } from '../kit/open-dashboard.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

// The whole way of a product that sends webhooks to its customers: one service key, HTTP alone, names of its own.
let service: Service;
let receiver: Receiver;
let browser: Browser;
let serviceKey: string;
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService({
      FLTR_BUILT_IN_EVENT_TYPES: 'false',
      FLTR_HEADER_PREFIX: 'X-Acme-',
      FLTR_USER_AGENT: 'Acme-Webhooks/2',
      FLTR_PRODUCT_NAME: 'Acme webhooks',
    }),
    startReceiver(),
    launchBrowser(),
  ]);
  serviceKey = await service.newKey({ accountId: null, scopes });
});
afterAll(() => stopAll(browser, service, receiver));

const asService = <T = Record<string, never>>(
  method: string,
  path: string,
  body?: unknown,
  account?: string,
) =>
  call<T>(
    service.apiUrl,
    serviceKey,
    method,
    path,
    body,
    account === undefined ? {} : { 'fltr-account': account },
  );

const invoice = {
  description: 'An invoice was paid.',
  schema: {
    type: 'object',
    required: ['invoice_id', 'amount'],
    properties: { invoice_id: { type: 'string' }, amount: { type: 'number', minimum: 0 } },
  },
  example: { invoice_id: 'inv_1', amount: 1 },
};

test('the API reference has the product’s name and its own types alone', async () => {
  await asService('PUT', '/v1/event-types/invoice.paid', invoice);
  expect(await (await fetch(`${service.apiUrl}/docs`)).text()).toContain(
    '<title>Acme webhooks: API reference</title>',
  );
  const document = (await (await fetch(`${service.apiUrl}/openapi.json`)).json()) as {
    info: { title: string };
    components: { schemas: { PublishEvent: { oneOf: { title: string }[] } } };
  };
  expect(document.info.title).toBe('Acme webhooks');
  expect(document.components.schemas.PublishEvent.oneOf.map(({ title }) => title)).toEqual(['invoice.paid']);
});

test('from an event type to the page that a customer sees', async () => {
  await asService('PUT', '/v1/event-types/invoice.paid', invoice);
  expect((await asService('PUT', '/v1/accounts/cus_7', { name: 'Customer 7' })).status).toBe(201);
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const webhook = { url: receiver.url, events: ['invoice.*'], secret, format: 'standard' };
  const put = () =>
    asService<{ webhook_id: string; external_id: string; secret?: string }>(
      'PUT',
      '/v1/webhooks/cus_7-main',
      webhook,
      'cus_7',
    );
  const [created, again] = [await put(), await put()];
  expect([created.status, created.body.secret, created.body.external_id]).toEqual([
    201,
    secret,
    'cus_7-main',
  ]);
  expect([again.status, again.body.secret, again.body.webhook_id]).toEqual([
    200,
    undefined,
    created.body.webhook_id,
  ]);

  const refused = await asService<{ code: string }>(
    'POST',
    '/v1/events',
    { event: 'invoice.paid', data: {} },
    'cus_7',
  );
  expect([refused.status, refused.body.code]).toEqual([422, 'validation_failed']);
  // As it is published, with the digits of its numbers.
  const text = '{"event": "invoice.paid", "data": {"invoice_id": "inv_7", "amount": 19.50}}';
  const published = await asService<{ id: string; deliveries: { id: string }[] }>(
    'POST',
    '/v1/events',
    text,
    'cus_7',
  );
  expect([published.status, published.body.deliveries.length]).toEqual([202, 1]);
  const request = await until(
    () => receiver.requests.find(({ headers }) => headers['webhook-id'] === published.body.id),
    (found) => found !== undefined,
  );
  if (!request) throw new Error('unreachable');
  const { headers, body } = request;
  expect([headers['x-acme-event'], headers['user-agent']]).toEqual(['invoice.paid', 'Acme-Webhooks/2']);
  expect(headers['x-acme-signature']).toBe(createHmac('sha256', secret).update(body).digest('hex'));
  expect(Object.keys(headers).filter((name) => name.includes('fltr'))).toEqual([]);
  expect(body.toString()).toContain('"type":"invoice.paid"');
  expect(body.toString()).toContain('"data":{"invoice_id":"inv_7","amount":19.50}');
  expect(
    new StandardWebhook(secret).verify(body.toString(), headers as Record<string, string>),
  ).toMatchObject({
    data: { amount: 19.5 },
  });

  const link = await asService<{ url: string }>('POST', '/v1/portal-links', { account_id: 'cus_7' });
  expect(link.status).toBe(201);
  const { page, context, complaints } = await openTab(browser, service.apiUrl);
  onTestFinished(() => context.close());
  await page.goto(link.body.url);
  await heading(page, 'Webhooks').waitFor();
  expect(await page.title()).toContain('Acme webhooks');
  await page.getByRole('link', { name: 'Delivery log' }).click();
  const row = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: 'invoice.paid' }) });
  await row.getByText('delivered').waitFor();
  for (const name of ['API keys', 'Settings'])
    expect(await page.getByRole('link', { name, exact: true }).count()).toBe(0);
  expect(complaints).toEqual([]);

  expect((await asService('DELETE', '/v1/accounts/cus_7')).status).toBe(202);
  const late = await asService('POST', '/v1/events', text, 'cus_7');
  expect([404, 422]).toContain(late.status);
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Webhooks' }).waitFor({ state: 'detached' });
});

test("another customer's account shows nothing of it", async () => {
  for (const id of ['cus_8', 'cus_9']) await asService('PUT', `/v1/accounts/${id}`, {});
  await asService('PUT', '/v1/event-types/invoice.paid', invoice);
  const webhook = { url: receiver.url, events: ['*'] };
  expect((await asService('PUT', '/v1/webhooks/main', webhook, 'cus_8')).status).toBe(201);
  expect((await asService('GET', '/v1/webhooks/main', undefined, 'cus_9')).status).toBe(404);
  // The same external id is another webhook there.
  expect((await asService('PUT', '/v1/webhooks/main', webhook, 'cus_9')).status).toBe(201);
  const data = { invoice_id: 'inv_8', amount: 1 };
  const { body } = await asService<{ id: string; deliveries: unknown[] }>(
    'POST',
    '/v1/events',
    { event: 'invoice.paid', data },
    'cus_8',
  );
  expect(body.deliveries).toHaveLength(1);
  expect((await asService('GET', `/v1/events/${body.id}`, undefined, 'cus_9')).status).toBe(404);
  const log = await asService<{ data: unknown[] }>('GET', '/v1/deliveries', undefined, 'cus_9');
  expect(log.body.data).toEqual([]);
  expect((await asService('GET', '/v1/webhooks', undefined, 'cus_unknown')).status).toBe(404);
  expect((await asService('GET', '/v1/webhooks')).status).toBe(403);
});
