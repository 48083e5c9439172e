import { createHmac } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { launchBrowser } from '../kit/browser.ts';
import {
  heading,
  openDashboard,
  readClipboard,
  untilCount,
  untilFocused,
  untilRefused,
} from '../kit/open-dashboard.ts';
import { scopes } from '../../src/security/api-keys.ts';
import { startReceiver, type Received, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService(),
    startReceiver((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"received":true}');
    }),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service, receiver));

const hexOf = (secret: string, body: Buffer) => createHmac('sha256', secret).update(body).digest('hex');
const received = (path: string) => receiver.requests.filter((request) => request.path === path);

async function nextReceived(path: string, before: number): Promise<Received> {
  const request = await until(
    () => received(path)[before],
    (each) => each !== undefined,
  );
  if (!request) throw new Error('unreachable');
  return request;
}

/** An account with one webhook, whose page is open. */
async function openWebhook(path: string) {
  const { key } = await service.newAccount();
  const { body: webhook } = await call<{ webhook_id: string; secret: string }>(
    service.apiUrl,
    key,
    'POST',
    '/v1/webhooks',
    { url: receiver.url + path, events: ['document.*'] },
  );
  const { page } = await openDashboard(browser, service, `/webhooks/${webhook.webhook_id}`, { key });
  await heading(page, receiver.url.replace('http://', '') + path).waitFor();
  const publish = () =>
    call(service.apiUrl, key, 'POST', '/v1/events', {
      event: 'document.deleted',
      data: { document_id: 'doc_1', dataset_id: 'ds_1' },
    });
  return { ...webhook, key, page, publish };
}

const latest = (page: Page, status: string) =>
  page
    .getByRole('region', { name: 'Latest deliveries' })
    .getByRole('row')
    .filter({ has: page.getByRole('rowheader', { name: 'document.deleted' }) })
    .filter({ has: page.getByRole('cell', { name: status, exact: true }) });

test('a type of its own is picked, sent with its example, and documented', async () => {
  const { key } = await service.newAccount();
  const serviceKey = await service.newKey({ accountId: null, scopes });
  await call(service.apiUrl, serviceKey, 'PUT', '/v1/event-types/order.paid', {
    description: 'An order was paid.',
    schema: { type: 'object', required: ['order_id'] },
    example: { order_id: 'ord_42' },
    deprecated: true,
  });
  const { page } = await openDashboard(browser, service, '/webhooks/new', { key });
  await page.getByLabel('URL', { exact: true }).fill(`${receiver.url}/orders`);
  await page.getByRole('checkbox', { name: 'order.paid', exact: true }).check();
  await page.getByRole('checkbox', { name: 'order.*', exact: true }).check();
  await page.getByRole('button', { name: 'Create' }).click();
  await heading(page, /\/orders$/).waitFor();
  const { body } = await call<{ data: { events: string[] }[] }>(service.apiUrl, key, 'GET', '/v1/webhooks');
  expect(body.data.map(({ events }) => events)).toEqual([['order.*']]);

  await page.getByRole('link', { name: 'Event types' }).click();
  const row = page.getByRole('row').filter({ hasText: 'An order was paid.' });
  await row.getByText('deprecated').waitFor();
  await row.getByRole('link', { name: 'order.paid' }).click();
  await heading(page, 'order.paid').waitFor();
  await page.getByRole('region', { name: 'Example of order.paid' }).getByText('ord_42').waitFor();
  await page.getByText('deprecated').waitFor();
  await page.getByRole('link', { name: 'Send one' }).click();
  await page.getByRole('button', { name: 'Send event' }).click();
  const sent = await nextReceived('/orders', 0);
  expect(JSON.parse(sent.body.toString())).toMatchObject({
    event: 'order.paid',
    data: { order_id: 'ord_42' },
  });
});

test('a new user creates a webhook, verifies its requests, and sees each step', async () => {
  const { key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/', { key });
  await heading(page, 'Webhooks').waitFor();
  await heading(page, 'Get started', 2).waitFor();
  await page.getByRole('main').getByRole('link', { name: 'Create webhook' }).first().click();

  await heading(page, 'Create webhook').waitFor();
  const url = page.getByLabel('URL', { exact: true });
  await url.fill('http://example.com/webhooks/fltr');
  await page.getByRole('checkbox', { name: 'document.processed', exact: true }).check();
  await page.getByRole('checkbox', { name: 'document.deleted', exact: true }).check();
  await page.getByRole('button', { name: 'Create' }).click();
  await untilRefused(url, /https|localhost/);
  await untilFocused(url);
  await url.fill(`${receiver.url}/new`);
  await page.getByRole('button', { name: 'Create' }).click();

  await heading(page, /\/new$/).waitFor();
  const shown = page.getByRole('region', { name: 'Webhook created: save its secret' });
  const secret = (await shown.getByRole('region', { name: 'New secret', exact: true }).textContent()) ?? '';
  expect(secret).toMatch(/^whsec_/);
  await shown.getByRole('button', { name: 'Copy' }).click();
  await shown.getByText('Copied').waitFor();
  expect(await readClipboard(page)).toBe(secret);

  const trial = page.getByRole('region', { name: 'Try it' });
  await trial.getByRole('button', { name: 'Send test event' }).click();
  await trial.getByText('response 200').waitFor();
  const testEvent = await nextReceived('/new', 0);
  expect(testEvent.headers).toMatchObject({
    'x-fltr-test': 'true',
    'x-fltr-event': 'document.processed',
    'x-fltr-signature': hexOf(secret, testEvent.body),
  });

  await page.getByRole('button', { name: 'I have saved it' }).click();
  await shown.waitFor({ state: 'detached' });
  expect(await page.content()).not.toContain(secret);
  await page.goBack();
  await heading(page, 'Webhooks').waitFor();
  await page.goForward();
  await heading(page, /\/new$/).waitFor();
  expect(await page.content()).not.toContain(secret);

  await page.getByRole('main').getByRole('link', { name: 'Send event' }).click();
  await heading(page, 'Send an event').waitFor();
  await page.getByLabel('Type').selectOption('document.processed');
  await page.getByText('Will be sent to 1 webhook.').waitFor();
  await page.getByRole('button', { name: 'Send event' }).click();
  await page.getByRole('status').getByText('Accepted:').waitFor();
  await page.getByRole('row', { name: /delivered/ }).waitFor();
  const event = await nextReceived('/new', 1);
  expect(event.headers['x-fltr-signature']).toBe(hexOf(secret, event.body));
  const { id, data } = JSON.parse(event.body.toString()) as { id: string; data: { document_id: string } };
  new StandardWebhook(secret).verify(event.body, event.headers as Record<string, string>);

  await page.getByRole('link', { name: 'Delivery log' }).click();
  await heading(page, 'Delivery log').waitFor();
  const row = page.getByRole('row').filter({ hasText: 'document.processed' });
  await row.getByText('delivered').waitFor();
  // The test event is not one of them.
  expect(await row.count()).toBe(1);
  await row.getByRole('link', { name: 'document.processed' }).press('Enter');
  await heading(page, 'document.processed').waitFor();
  await heading(page, 'Attempt 1', 3).waitFor();
  const sent = page.getByRole('region', { name: 'Request of attempt 1' });
  await sent.getByText('Request headers', { exact: true }).first().click();
  const headers =
    (await sent.getByRole('region', { name: 'Request headers of attempt 1' }).textContent()) ?? '';
  for (const line of ['x-fltr-event: document.processed', `webhook-id: ${id}`])
    expect(headers.toLowerCase()).toContain(line);
  expect(headers).not.toContain(secret);
  await sent.getByText(data.document_id).waitFor();
  await page.getByText('response 200').first().waitFor();
  const outcome = page.getByRole('region', { name: 'Outcome of attempt 1' });
  expect(await outcome.getByRole('region', { name: 'Response body of attempt 1' }).textContent()).toBe(
    JSON.stringify({ received: true }, null, 2),
  );
});

test('a webhook that was just created is shown again by a reload, without its secret', async () => {
  const { key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/webhooks/new', { key });
  await page.getByLabel('URL', { exact: true }).fill(`${receiver.url}/reloaded`);
  await page.getByRole('checkbox', { name: '*', exact: true }).check();
  await page.getByRole('button', { name: 'Create' }).click();
  const shown = page.getByRole('region', { name: 'Webhook created: save its secret' });
  const secret = (await shown.getByRole('region', { name: 'New secret', exact: true }).textContent()) ?? '';
  await page.reload();
  await heading(page, /\/reloaded$/).waitFor();
  expect(await page.content()).not.toContain(secret);
  expect(await shown.count()).toBe(0);
});

test('a double click creates one webhook and sends one event; another one is sent by its own button', async () => {
  const { key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/webhooks/new', { key });
  await page.getByLabel('URL', { exact: true }).fill(`${receiver.url}/twice`);
  await page.getByRole('checkbox', { name: '*', exact: true }).check();
  await page.getByRole('button', { name: 'Create' }).dblclick();
  await heading(page, /\/twice$/).waitFor();
  const countOf = async (path: string) =>
    (await call<{ data: unknown[] }>(service.apiUrl, key, 'GET', path)).body.data.length;
  expect(await countOf('/v1/webhooks')).toBe(1);

  await page.goto('/events/send?event=dataset.updated');
  const send = page.getByRole('button', { name: 'Send event' });
  // The first response is there before the second click.
  await send.click({ clickCount: 2, delay: 60 });
  const another = page.getByRole('button', { name: 'Send another' });
  await another.waitFor();
  expect([await send.isDisabled(), await countOf('/v1/events')]).toEqual([true, 1]);
  await another.click();
  await send.dblclick();
  await another.waitFor();
  expect(await countOf('/v1/events')).toBe(2);
});

test('a webhook whose receiver is down looks so, in the list and on its page', async () => {
  const { key } = await service.newAccount();
  const mine = (method: string, path: string, body?: unknown) =>
    call<{ webhook_id: string }>(service.apiUrl, key, method, path, body);
  // Nothing listens there.
  const { body: down } = await mine('POST', '/v1/webhooks', { url: 'http://localhost:1/', events: ['*'] });
  await mine('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  const { page } = await openDashboard(browser, service, `/webhooks/${down.webhook_id}`, { key });
  await latest(page, 'retrying').waitFor();
  await page.reload();
  const numbers = page.getByRole('region', { name: 'Overview' });
  const tile = (name: string) => numbers.locator('.tile', { has: page.getByText(name, { exact: true }) });
  await tile('Waiting').getByRole('link', { name: '1 retrying' }).waitFor();
  await tile('Failure rate').getByText('100%').waitFor();
  await tile('Failure rate').getByText('1 of 1 attempts failed').waitFor();
  await tile('Response time').getByText('p50 –').waitFor();
  await page.getByText('failing', { exact: true }).waitFor();
  await page.goto('/webhooks');
  const row = page.getByRole('row').filter({ hasText: 'localhost:1' });
  for (const text of ['failing', '1 retrying', '100%']) await row.getByText(text, { exact: true }).waitFor();
});

test('the head of the webhooks page stays where it is, however many webhooks there are', async () => {
  const { key } = await service.newAccount();
  const create = (path: string) =>
    call(service.apiUrl, key, 'POST', '/v1/webhooks', { url: receiver.url + path, events: ['*'] });
  await create('/1');
  for (const width of [768, 1280, 1920]) {
    const { page } = await openDashboard(browser, service, '/webhooks', { key, width });
    const rows = page.getByRole('row').filter({ has: page.getByRole('rowheader') });
    const box = () => page.getByRole('main').getByRole('link', { name: 'Create webhook' }).boundingBox();
    await rows.first().waitFor();
    const before = await box();
    const count = await rows.count();
    for (let number = count; number < count + 9; number += 1) await create(`/${width}/${number}`);
    await page.reload();
    await untilCount(rows, count + 9);
    expect([width, await box()]).toEqual([width, before]);
  }
});

test('editing, pausing, and activating with held deliveries delivered or discarded', async () => {
  const { page, publish } = await openWebhook('/edited');
  const edit = page.getByRole('button', { name: 'Edit' });
  await edit.click();
  const dialog = page.getByRole('dialog', { name: 'Edit webhook' });
  await dialog.getByLabel('Description').fill('Indexes what was processed');
  await dialog.getByRole('checkbox', { name: 'dataset.*' }).check();
  await dialog.getByLabel('URL', { exact: true }).fill('ftp://localhost/');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await untilRefused(dialog.getByLabel('URL', { exact: true }), /https|localhost/);
  await dialog.getByLabel('URL', { exact: true }).fill(`${receiver.url}/moved`);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  await untilFocused(edit);
  await heading(page, /\/moved$/).waitFor();
  const facts = page.getByRole('region', { name: 'Configuration' });
  await facts.getByText('Indexes what was processed').waitFor();
  await facts.getByText('dataset.*').waitFor();

  const pause = async () => {
    await page.getByRole('button', { name: 'Pause' }).click();
    await page
      .getByRole('alertdialog', { name: 'Pause this webhook?' })
      .getByRole('button', { name: 'Pause' })
      .click();
    await page.getByText('Paused.', { exact: true }).waitFor();
    await publish();
    await latest(page, 'held').waitFor();
  };
  const activate = async (choice: string) => {
    await page.getByRole('button', { name: 'Activate' }).click();
    const question = page.getByRole('dialog', { name: 'Activate this webhook' });
    await question.getByText('One delivery is held.').waitFor();
    await question.getByRole('radio', { name: choice }).check();
    await question.getByRole('button', { name: 'Activate' }).click();
    await question.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Pause' }).waitFor();
  };
  await pause();
  expect(received('/moved')).toHaveLength(0);
  await activate('Deliver held deliveries');
  await latest(page, 'delivered').waitFor();
  expect(received('/moved')).toHaveLength(1);
  await pause();
  await activate('Discard held deliveries');
  await latest(page, 'canceled').waitFor();
  expect(received('/moved')).toHaveLength(1);
});

test('rotating with an overlap: both secrets sign, until the overlap is ended; revealing shows the new one', async () => {
  const { page, publish, secret: previous, webhook_id: id } = await openWebhook('/rotated');
  await page.getByRole('button', { name: 'Rotate' }).click();
  await page
    .getByRole('dialog', { name: 'Rotate the secret' })
    .getByRole('radio', { name: '1 hour' })
    .check();
  await page.getByRole('button', { name: 'Rotate the secret' }).click();
  const dialog = page.getByRole('dialog', { name: 'The new secret' });
  const secret = (await dialog.getByRole('region', { name: 'New secret' }).textContent()) ?? '';
  expect(secret).toMatch(/^whsec_/);
  expect(secret).not.toBe(previous);
  await dialog.getByRole('button', { name: 'I have saved it' }).click();
  await dialog.waitFor({ state: 'detached' });
  expect(await page.content()).not.toContain(secret);

  const verifiesWith = (each: string, { body, headers }: Received): boolean => {
    try {
      return Boolean(new StandardWebhook(each).verify(body, headers as Record<string, string>));
    } catch {
      return false;
    }
  };
  await page.getByText('Secret overlap.').waitFor();
  await publish();
  const meanwhile = await nextReceived('/rotated', 0);
  expect(meanwhile.headers['x-fltr-signature']).toBe(hexOf(previous, meanwhile.body));
  expect([previous, secret].map((each) => verifiesWith(each, meanwhile))).toEqual([true, true]);

  await page.getByRole('button', { name: 'Rotate' }).click();
  const second = page.getByRole('dialog', { name: 'Rotate the secret' });
  await second.getByText('The previous secret of the last rotation is valid until').waitFor();
  expect(await second.getByRole('button', { name: 'Rotate the secret' }).isDisabled()).toBe(true);
  await second.getByRole('checkbox', { name: 'End the previous secret now' }).check();
  expect(await second.getByRole('button', { name: 'Rotate the secret' }).isEnabled()).toBe(true);
  await page.keyboard.press('Escape');
  await second.waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'End overlap' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'End the overlap' }).click();
  await page.getByText('Secret overlap.').waitFor({ state: 'detached' });
  await publish();
  const after = await nextReceived('/rotated', 1);
  expect(after.headers['x-fltr-signature']).toBe(hexOf(secret, after.body));
  expect([previous, secret].map((each) => verifiesWith(each, after))).toEqual([false, true]);

  await page.getByRole('button', { name: 'Reveal secret' }).click();
  const reveal = page.getByRole('dialog', { name: 'Reveal the secret' });
  await reveal.getByRole('button', { name: 'Reveal' }).click();
  expect(await reveal.getByRole('region', { name: 'Secret', exact: true }).textContent()).toBe(secret);
  await page.keyboard.press('Escape');
  await reveal.waitFor({ state: 'detached' });
  expect(await page.content()).not.toContain(secret);
  const { rows } = await service.pool.query(
    `select action from audit_records where target = $1 and action = 'webhook.secret_read'`,
    [id],
  );
  expect(rows).toHaveLength(1);
});

test('deleting wants the end of the id typed, and can be thought better of', async () => {
  const { page, key, webhook_id: id } = await openWebhook('/deleted');
  const button = page.getByRole('button', { name: 'Delete', exact: true });
  await button.click();
  const dialog = page.getByRole('alertdialog', { name: 'Delete this webhook?' });
  const confirm = dialog.getByRole('button', { name: 'Delete permanently' });
  const end = id.slice(-6);
  await dialog.getByLabel(`Type ${end}, the end of the id, to confirm`).fill('localhost');
  expect(await confirm.isDisabled()).toBe(true);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await untilFocused(button);
  await button.click();
  expect(await dialog.getByRole('textbox').inputValue()).toBe('');
  await dialog.getByRole('textbox').fill(end);
  await confirm.click();
  await heading(page, 'Webhooks').waitFor();
  await heading(page, 'Get started', 2).waitFor();
  expect((await call(service.apiUrl, key, 'GET', `/v1/webhooks/${id}`)).status).toBe(404);
  await page.goto(`/webhooks/${id}`);
  await heading(page, 'Webhook not found', 2).waitFor();
});

test('with names of its own, the pages show these; a format is chosen in the form', async () => {
  const named = await startService({ FLTR_HEADER_PREFIX: 'X-Acme-', FLTR_SIGNATURES: 'fltr' });
  onTestFinished(() => named.stop());
  const { page } = await openDashboard(browser, named, '/webhooks/new');
  await page.getByLabel('URL', { exact: true }).fill(`${receiver.url}/acme`);
  await page.getByRole('checkbox', { name: 'document.deleted', exact: true }).check();
  await page.getByRole('radio', { name: /^CloudEvents/ }).check();
  await page.getByRole('button', { name: 'Create' }).click();
  const shown = page.getByRole('region', { name: 'Webhook created: save its secret' });
  await shown.getByText('Verify a request with it').click();
  await shown.getByText("request.headers['x-acme-signature']").waitFor();
  await page.getByText('X-Acme-Test: true').waitFor();
  await page.getByRole('button', { name: 'Send test event' }).click();
  const { headers, body } = await nextReceived('/acme', 0);
  expect([headers['x-acme-test'], headers['content-type']]).toEqual(['true', 'application/cloudevents+json']);
  expect(JSON.parse(body.toString())).toMatchObject({ source: `/accounts/${named.accountId}` });
  await page.getByText('CloudEvents. CloudEvents 1.0 as JSON, structured.').waitFor();
  expect(await page.content()).not.toMatch(/X-FLTR-/i);
});

test("a webhook's page shows its external id and its metadata, as text, and is found by the external id", async () => {
  const { page, key, webhook_id: id } = await openWebhook('/named');
  const configuration = page.getByRole('region', { name: 'Configuration' });
  const terms = () => configuration.getByRole('term').allInnerTexts();
  expect(await terms()).not.toContain('External id');
  const hostile = '<img src=x onerror=alert(1)>';
  const named = { external_id: 'customer/42 ü', metadata: { plan: 'pro', [hostile]: hostile } };
  await call(service.apiUrl, key, 'PATCH', `/v1/webhooks/${id}`, named);
  await page.goto(`/webhooks/${encodeURIComponent('customer/42 ü')}`);
  await heading(page, receiver.url.replace('http://', '') + '/named').waitFor();
  expect(await terms()).toEqual(expect.arrayContaining(['External id', 'Metadata', 'plan', hostile]));
  expect(await configuration.getByRole('definition').allInnerTexts()).toEqual(
    expect.arrayContaining(['pro', hostile]),
  );
  await configuration.getByRole('button', { name: 'Copy external id' }).click();
  expect(await readClipboard(page)).toBe('customer/42 ü');
  // The page calls the API with the webhook's id.
  await page.getByRole('button', { name: 'Reveal secret' }).waitFor();
});
