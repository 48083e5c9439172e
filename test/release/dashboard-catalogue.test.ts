import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { scopes } from '../../src/security/api-keys.ts';
import { launchBrowser } from '../kit/browser.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { heading, openDashboard, readClipboard, untilCount } from '../kit/open-dashboard.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
let refused: string;
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService(),
    startReceiver(({ path }, response) => response.writeHead(path === '/refused' ? 404 : 200).end()),
    launchBrowser(),
  ]);
  const serviceKey = await service.newKey({ accountId: null, scopes });
  await call(service.apiUrl, serviceKey, 'PUT', '/v1/event-types/order.paid', {
    description: 'An order was paid.',
    schema: {
      type: 'object',
      required: ['order_id'],
      properties: {
        order_id: { type: 'string', description: 'Of the shop.', maxLength: 40 },
        customer: { type: 'object', properties: { email: { type: 'string', format: 'email' } } },
      },
    },
    example: { order_id: 'ord_42' },
  });
  await service.newWebhook(`${receiver.url}/all`);
  ({ webhook_id: refused } = await service.newWebhook(`${receiver.url}/refused`, { events: ['order.*'] }));
  await service.newWebhook(`${receiver.url}/other`, { events: ['dataset.created'] });
  await publish('order.paid', { order_id: 'ord_1' }, { labels: ['vip'] });
  await publish('document.deleted', { document_id: 'doc_1', dataset_id: 'ds_1' });
});
afterAll(() => stopAll(browser, service, receiver));

async function publish(event: string, data: object, more: object = {}): Promise<void> {
  const { deliveries } = await service.publish({ event, data, ...more });
  for (const { id, webhook_id: webhook } of deliveries)
    await waitForStatus(service, id, webhook === refused ? 'failed' : 'delivered');
}

async function cells(page: Page, name: RegExp): Promise<string[]> {
  const row = page.getByRole('row', { name });
  await row.waitFor();
  return (await row.getByRole('cell').allTextContents()).map((text) => text.trim());
}

test('the catalogue says who subscribes to each type, and how its deliveries end', async () => {
  const { page } = await openDashboard(browser, service, '/event-types');
  await heading(page, 'Event types').waitFor();
  await page.getByRole('row', { name: /^order\.paid .* 50%/ }).waitFor();
  expect(await cells(page, /^order\.paid/)).toEqual(['2', '2', '50%', 'API']);
  expect(await cells(page, /^document\.deleted/)).toEqual(['1', '1', '0%', 'Built in']);
  expect(await cells(page, /^dataset\.created/)).toEqual(['2', '0', '–', 'Built in']);

  await page.getByRole('searchbox', { name: 'Filter by name or description' }).fill('paid');
  await untilCount(page.getByRole('row'), 2);
  await page.reload();
  await untilCount(page.getByRole('row'), 2);
  await page.getByRole('searchbox', { name: 'Filter by name or description' }).fill('nothing');
  await page.getByText('No event type matches “nothing”.').waitFor();
  await page.getByRole('link', { name: 'Show all' }).click();
  await untilCount(page.getByRole('row'), 9);
});

test('a type has its fields, its example, its subscribers, and links into the log', async () => {
  const { page } = await openDashboard(browser, service, '/event-types/order.paid');
  await heading(page, 'order.paid').waitFor();
  expect(await cells(page, /^order_id/)).toEqual(['string', 'required', 'Of the shop.at most 40 characters']);
  // By its whole path for a screen reader.
  expect(await cells(page, /^customer\. ?email/)).toEqual(['string', 'optional', 'format email']);

  const example = page.getByRole('figure').filter({ hasText: 'Example of data' });
  await example.getByRole('button', { name: 'Copy' }).click();
  await example.getByText('Copied').waitFor();
  expect(JSON.parse(await readClipboard(page))).toEqual({ order_id: 'ord_42' });

  const subscribers = page.getByRole('region', { name: 'Subscribers (2)' });
  const names = await subscribers.getByRole('link').allTextContents();
  expect(names.map((name) => name.split('/').at(-1))).toEqual(['refused', 'all']);

  const volume = page.getByRole('region', { name: 'Last 24 hours' });
  await volume.getByText('50%').waitFor();
  // The link of the number of failed ones.
  await volume.getByRole('link', { name: '1', exact: true }).last().click();
  await page.waitForURL('**/log?event=order.paid&status=failed&last=24h');
  await untilCount(page.getByRole('row').filter({ hasText: 'order.paid' }), 1);
  await page.goBack();
  await page.getByRole('link', { name: 'Latest deliveries' }).click();
  await page.waitForURL('**/log?event=order.paid');
  await untilCount(page.getByRole('row').filter({ hasText: 'order.paid' }), 2);
  await page.goto('/event-types/order.paid');
  await page.getByRole('link', { name: 'Send one' }).click();
  await heading(page, 'Send an event').waitFor();
  await page.waitForURL('**/events/send?event=order.paid');
});

test('an unknown type says so, and a key without the scope to publish has no “Send one”', async () => {
  const { page } = await openDashboard(browser, service, '/event-types/order.unknown');
  await heading(page, 'Event type not found', 2).waitFor();
  await page.getByRole('link', { name: 'All event types' }).click();
  await heading(page, 'Event types').waitFor();
  const key = await service.newKey({ accountId: service.accountId, scopes: ['webhooks:read'] });
  const reader = await openDashboard(browser, service, '/event-types/order.paid', { key });
  await reader.page.getByRole('link', { name: 'Latest deliveries' }).waitFor();
  await untilCount(reader.page.getByRole('link', { name: 'Send one' }), 0);
});

test('events are filtered by type, outcome, label and time; the URL holds it, and Back undoes it', async () => {
  const { page } = await openDashboard(browser, service, '/events');
  const filters = page.getByRole('form', { name: 'Event filters' });
  const rows = page.getByRole('rowheader');
  const chips = page.getByRole('list', { name: 'Active filters' });
  await untilCount(rows, 2);
  await filters.getByLabel('Event type').selectOption('order.paid');
  await untilCount(rows, 1);
  await page.waitForURL('**/events?event=order.paid');
  await filters.getByLabel('Accepted').selectOption('24h');
  await filters.getByLabel('Label').fill('vip');
  await filters.getByLabel('Label').press('Enter');
  await page.waitForURL('**/events?event=order.paid&last=24h&label=vip');
  await untilCount(rows, 1);
  await page.reload();
  await untilCount(rows, 1);
  expect(await filters.getByLabel('Label').inputValue()).toBe('vip');

  await chips.getByRole('link', { name: 'Remove filter Event type' }).click();
  await page.waitForURL('**/events?last=24h&label=vip');
  await untilCount(rows, 1);
  await page.goBack();
  await page.waitForURL('**/events?event=order.paid&last=24h&label=vip');
  await chips.getByRole('link', { name: 'Clear' }).click();
  await untilCount(rows, 2);
  expect(await filters.getByLabel('Label').inputValue()).toBe('');

  await filters.getByLabel('Outcome').selectOption('Not delivered');
  await untilCount(rows, 1);
  await page.getByRole('link', { name: 'order.paid' }).waitFor();
  await filters.getByLabel('Label').fill('none');
  await filters.getByLabel('Label').blur();
  await heading(page, 'No events match these filters', 2).waitFor();
  await page.getByRole('link', { name: 'Clear filters' }).click();
  await untilCount(rows, 2);
});
