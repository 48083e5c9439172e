import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { eventTypeExamples } from '../../src/contracts/event-types.ts';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { insertPast } from '../kit/dashboard-data.ts';
import { heading, openDashboard, scrolled, untilFocused, untilLoaded } from '../kit/open-dashboard.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 180_000 });

/** Where the README's pictures go; none are made where it is not set. */
const picturesFolder = process.env['FLTR_SCREENSHOTS'];

let service: Service;
let receiver: Receiver;
let browser: Browser;
let ids: Awaited<ReturnType<typeof fillAccount>>;
const broken = new Map<string, number>();
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService(),
    startReceiver(({ path }, response) => {
      const status = broken.get(path) ?? 200;
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
      response.writeHead(status, headers).end(JSON.stringify(bodies[status] ?? { error: 'gone' }));
    }),
    launchBrowser(),
  ]);
  ids = await fillAccount();
});
afterAll(() => stopAll(browser, service, receiver));

const bodies: Record<number, unknown> = {
  200: { received: true },
  503: { error: 'The search index is being rebuilt.' },
};

/** An account that has been used for a day: webhooks in every state, deliveries of every kind. */
async function fillAccount() {
  const { accountId, pool } = service;
  await pool.query(`update accounts set name = 'Example company' where id = $1`, [accountId]);
  await pool.query(`update api_keys set name = 'Operations' where account_id = $1`, [accountId]);
  await service.call('POST', '/v1/keys', { name: 'Producer', scopes: ['events:write'] });
  const newWebhook = async (path: string, events: string[], description: string) =>
    (await service.newWebhook(receiver.url + path, { events, description })).webhook_id;
  const healthy = await newWebhook('/webhooks/fltr', ['document.*'], 'Search index');
  const failing = await newWebhook('/crm/events', ['dataset.created', 'dataset.updated'], 'Customer records');
  const paused = await newWebhook('/archive/in', ['dataset.deleted'], 'Archive, moving to another host');
  const alerts = await newWebhook('/alerts', ['webhook.*', 'delivery.failed'], 'Alerts of the service');
  await insertPast(service, { accountId, webhookId: healthy, count: 240, failedEvery: 30 });
  await insertPast(service, { accountId, webhookId: failing, count: 90, failedEvery: 2 });
  await insertPast(service, { accountId, webhookId: paused, count: 20 });
  await pool.query('update webhooks set warned_at = now() where id = $1', [failing]);
  await service.call('PATCH', `/v1/webhooks/${paused}`, { active: false });

  const publish = async (type: keyof typeof eventTypeExamples) => {
    const event = { event: type, data: eventTypeExamples[type].data };
    const { id, deliveries } = await service.publish(event);
    return { eventId: id, deliveryId: deliveries[0]?.id ?? '' };
  };
  const held = await publish('dataset.deleted');
  broken.set('/crm/events', 404);
  const failed = await publish('dataset.updated');
  await waitForStatus(service, failed.deliveryId, 'failed');
  broken.set('/crm/events', 503);
  const retrying = await publish('dataset.created');
  broken.set('/webhooks/fltr', 503);
  const delivered = await publish('document.processed');
  await waitForStatus(service, delivered.deliveryId, 'retrying');
  broken.delete('/webhooks/fltr');
  await service.call('POST', `/v1/deliveries/${delivered.deliveryId}/retry`);
  await waitForStatus(service, delivered.deliveryId, 'delivered');
  await waitForStatus(service, retrying.deliveryId, 'retrying');
  for (const type of ['document.uploaded', 'document.processing_failed', 'document.deleted'] as const)
    await waitForStatus(service, (await publish(type)).deliveryId, 'delivered');
  const { body: operation } = await service.call<{ id: string }>('POST', '/v1/deliveries/actions', {
    action: 'retry',
    filter: { ids: [held.deliveryId] },
  });
  return {
    healthy,
    failing,
    paused,
    alerts,
    held,
    failed,
    retrying,
    delivered,
    operationId: operation.id,
  };
}

type Visit = { path: string; title: string | RegExp; picture?: string };
const visits = (): Visit[] => [
  { path: '/webhooks', title: 'Webhooks', picture: 'webhooks' },
  { path: '/webhooks?state=failing&range=7d', title: 'Webhooks' },
  { path: '/webhooks/new', title: 'Create webhook' },
  { path: `/webhooks/${ids.healthy}`, title: /webhooks\/fltr$/, picture: 'webhook' },
  { path: `/webhooks/${ids.failing}`, title: /crm\/events$/ },
  { path: `/webhooks/${ids.paused}`, title: /archive\/in$/ },
  { path: `/webhooks/${ids.alerts}`, title: /alerts/ },
  { path: '/log', title: 'Delivery log' },
  { path: '/log?status=canceled', title: 'Delivery log' },
  // A panel beside the list; on a narrow screen, the page.
  { path: `/log?open=${ids.delivered.deliveryId}`, title: /^(Delivery log|document\.processed)$/ },
  { path: `/log/${ids.delivered.deliveryId}`, title: 'document.processed', picture: 'delivery' },
  { path: `/log/${ids.retrying.deliveryId}`, title: 'dataset.created' },
  { path: `/log/${ids.failed.deliveryId}`, title: 'dataset.updated' },
  { path: `/log/${ids.held.deliveryId}`, title: 'dataset.deleted' },
  { path: '/events', title: 'Events' },
  { path: `/events/${ids.delivered.eventId}`, title: 'document.processed' },
  { path: `/events/send?copy=${ids.delivered.eventId}`, title: 'Send an event' },
  { path: '/event-types', title: 'Event types' },
  { path: '/operations', title: 'Operations' },
  { path: `/operations/${ids.operationId}`, title: 'Retry' },
  { path: '/operations/op_unknown', title: 'Operation' },
  { path: '/event-types/document.processing_failed', title: 'document.processing_failed' },
  { path: '/event-types/order.unknown', title: 'Event type' },
  { path: '/events?event=document.deleted&outcome=undelivered&last=24h', title: 'Events' },
  { path: '/alerts', title: 'Alerts' },
  { path: '/keys', title: 'API keys' },
  { path: '/audit', title: 'Audit log' },
  { path: '/audit?action=account.*', title: 'Audit log' },
  { path: '/settings', title: 'Settings' },
  { path: '/webhooks/wh_unknown', title: 'Webhook' },
  { path: '/nowhere', title: 'Page not found' },
  { path: '/sign-in', title: 'Sign in' },
];

/** Adds up how far things moved by themselves: Chromium's layout shifts, from the page's first paint on. */
const sumUpShifts = `
  globalThis.shifted = { sum: 0, what: [] };
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput) continue;
      shifted.sum += value;
      shifted.what.push(...sources.map(({ node }) => (node?.outerHTML ?? node?.textContent ?? '').slice(0, 80)));
    }
  }).observe({ type: 'layout-shift', buffered: true });`;

async function visit(page: Page, { path, title }: Visit): Promise<void> {
  await page.goto(path);
  await heading(page, title).waitFor();
  await untilLoaded(page);
  await page.locator('[aria-busy="true"]').waitFor({ state: 'detached' });
}

async function takePicture(page: Page, name: string): Promise<void> {
  if (picturesFolder === undefined) return;
  mkdirSync(picturesFolder, { recursive: true });
  await page.screenshot({ path: join(picturesFolder, `${name}.png`), animations: 'disabled' });
}

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)('every page in $colorScheme, $width wide: no barrier, no shift, no overflow', async (window) => {
  const { page, context } = await openDashboard(browser, service, '/sign-in', window);
  await context.addInitScript({ content: sumUpShifts });
  const found: unknown[] = [];
  // The last pass has the hardest URL.
  const path = `/alerts/${'a-long-name-'.repeat(12)}/${'b'.repeat(120)}?token=${'c'.repeat(200)}`;
  if (window.width === 360)
    await service.call('PATCH', `/v1/webhooks/${ids.alerts}`, { url: receiver.url + path });
  for (const each of visits()) {
    await visit(page, each);
    const shifted = await page.evaluate<{ sum: number; what: string[] }>('shifted');
    if (shifted.sum > 0.02) found.push({ path: each.path, shifted });
    const width = await page.evaluate<number>('document.scrollingElement.scrollWidth');
    if (width > window.width) found.push({ path: each.path, width });
    const barriers = await findBarriers(page);
    if (barriers.length > 0) found.push({ path: each.path, barriers });
    if (each.picture !== undefined && window.width === 1280) await takePicture(page, each.picture);
  }
  expect(found).toEqual([]);
  if (window.colorScheme === 'dark') {
    await page.setViewportSize({ width: 1280, height: 800 });
    await visit(page, { path: '/log', title: 'Delivery log' });
    await takePicture(page, 'delivery-log');
  }
});

/** Presses Tab until this has the focus. */
async function tabTo(page: Page, target: Locator): Promise<void> {
  await target.waitFor();
  const focused = target.and(page.locator(':focus'));
  for (let presses = 0; presses < 150; presses += 1) {
    if ((await focused.count()) > 0) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`150 times Tab did not lead to ${String(target)}`);
}

test('every page is reached by keyboard alone', async () => {
  const { page } = await openDashboard(browser, service, '/webhooks');
  const main = page.getByRole('main');
  await heading(page, 'Webhooks').waitFor();
  await page.keyboard.press('Tab');
  await untilFocused(page.getByRole('link', { name: 'Skip to content' }));
  await page.keyboard.press('Enter');
  await untilFocused(main);
  await page.keyboard.press('Tab');
  await untilFocused(main.getByRole('link', { name: 'Create webhook' }));

  const nav = (name: string) => page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name });
  const ways: [path: string, link: Locator, title: string | RegExp][] = [
    ['/webhooks', main.getByRole('link', { name: 'Create webhook' }), 'Create webhook'],
    ['/webhooks', main.getByRole('link', { name: /webhooks\/fltr/ }), /webhooks\/fltr$/],
    ['/webhooks', nav('Delivery log'), 'Delivery log'],
    ['/log', main.getByRole('link', { name: 'document.processed' }).first(), 'document.processed'],
    [`/log/${ids.delivered.deliveryId}`, main.getByRole('link', { name: /^evt_/ }), 'document.processed'],
    ['/log', nav('Events'), 'Events'],
    ['/events', main.getByRole('link', { name: 'document.deleted' }).first(), 'document.deleted'],
    ['/events', main.getByRole('link', { name: 'Send an event' }), 'Send an event'],
    ['/events', nav('Operations'), 'Operations'],
    ['/operations', nav('API keys'), 'API keys'],
    ['/events', nav('Event types'), 'Event types'],
    ['/event-types', main.getByRole('link', { name: 'document.deleted' }), 'document.deleted'],
    ['/event-types/document.deleted', main.getByRole('link', { name: 'Send one' }), 'Send an event'],
    ['/event-types/document.deleted', main.getByRole('link', { name: 'Latest deliveries' }), 'Delivery log'],
    ['/operations', nav('Alerts'), 'Alerts'],
    ['/alerts', nav('API keys'), 'API keys'],
    ['/keys', nav('Audit log'), 'Audit log'],
    ['/audit', main.getByRole('link', { name: /…\/fltr$/ }).first(), /webhooks\/fltr$/],
    ['/audit', nav('Settings'), 'Settings'],
    ['/settings', nav('Webhooks'), 'Webhooks'],
  ];
  for (const [path, link, title] of ways) {
    await page.goto(path);
    await tabTo(page, link);
    await page.keyboard.press('Enter');
    await heading(page, title).waitFor();
  }
});

/** Waits until the focus is in a dialog: at its edges Base UI takes it back a moment after the key. */
async function untilWithin(dialog: Locator, when: string): Promise<void> {
  const inside = dialog.locator(':focus-within');
  await until(
    async () =>
      (await inside.count()) > 0 ||
      `${when}: ${await dialog.page().evaluate<string>('document.activeElement.outerHTML.slice(0, 200)')}`,
    (response) => response === true,
  );
}

test('dialogs keep the focus, Escape closes them, and the focus comes back', async () => {
  const { page } = await openDashboard(browser, service, '/webhooks');
  const button = (name: string) => page.getByRole('main').getByRole('button', { name, exact: true }).first();
  const pages: [path: string, names: string[]][] = [
    [`/webhooks/${ids.healthy}`, ['Edit', 'Pause', 'Delete', 'Rotate', 'Reveal secret']],
    [`/webhooks/${ids.paused}`, ['Activate']],
    [`/log/${ids.retrying.deliveryId}`, ['Reschedule', 'Cancel']],
    [`/log/${ids.delivered.deliveryId}`, ['Resend']],
    ['/alerts', ['Create alert', 'Send test alert', 'Edit', 'Delete']],
    ['/keys', ['Create key', 'Revoke']],
  ];
  for (const [path, names] of pages) {
    await page.goto(path);
    for (const name of names) {
      await button(name).focus();
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog').or(page.getByRole('alertdialog'));
      await dialog.waitFor();
      await untilWithin(dialog, `${name}, at first`);
      const controls = await dialog.getByRole('button').or(dialog.locator('input, select')).count();
      for (let presses = 1; presses <= controls + 2; presses += 1) {
        await page.keyboard.press('Tab');
        await untilWithin(dialog, `${name}, ${presses} times Tab`);
      }
      await page.keyboard.press('Shift+Tab');
      await untilWithin(dialog, `${name}, back`);
      expect(await findBarriers(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
      await untilFocused(button(name));
    }
  }
});

test('a log of 5,000 rows has few of them in the page, wherever one is in it', async () => {
  const { accountId, key } = await service.newAccount();
  const { body } = await call<{ webhook_id: string }>(service.apiUrl, key, 'POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['*'],
  });
  await insertPast(service, { accountId, webhookId: body.webhook_id, count: 5000 });
  const { page } = await openDashboard(browser, service, '/log', { key });
  const row = page.getByRole('row');
  const isBounded = async () => {
    const count = await row.count();
    // 18 on the screen, and those beyond its edges.
    expect(count).toBeLessThanOrEqual(102);
    return count;
  };
  const end = page.getByText('5000 in total');
  await until(
    async () => {
      await isBounded();
      await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
      return end.isVisible();
    },
    (isThere) => isThere,
    120_000,
  );
  await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
  const rowAt = (index: number) => page.locator(`[aria-rowindex="${index}"]`);
  await rowAt(5001).waitFor();
  expect(await page.getByRole('table').getAttribute('aria-rowcount')).toBe('5001');
  for (const part of [0.5, 0.25, 0.75]) {
    await page.evaluate(`scrollTo(0, document.documentElement.scrollHeight * ${part})`);
    await rowAt(Math.round(5000 * part)).waitFor();
    await isBounded();
  }
  await page.evaluate('scrollTo(0, 0)');
  await rowAt(2).waitFor();
  expect(await isBounded()).toBeGreaterThan(20);
  expect(await scrolled(page)).toBe(0);
});
