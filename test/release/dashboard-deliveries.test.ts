import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { insertPast } from '../kit/dashboard-data.ts';
import {
  describedAs,
  heading,
  openDashboard,
  readClipboard,
  scrolled,
  untilCount,
  untilFocused,
} from '../kit/open-dashboard.ts';
import { readDelivery, waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
/** Paths whose receiver is out of order, and the status of its responses. */
const broken = new Map<string, number>();
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService({ FLTR_AUTO_DISABLE_EVERY_SECONDS: '2', FLTR_AUTO_DISABLE_MIN_DELIVERIES: '3' }),
    startReceiver(({ path }, response) => response.writeHead(broken.get(path) ?? 200).end('seen')),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service, receiver));

/** An account of its own, with one webhook for all events of documents. */
async function openAccount(path: string) {
  const { accountId, key } = await service.newAccount();
  const mine: Service = { ...service, accountId, key, call: (...args) => call(service.apiUrl, key, ...args) };
  const newWebhook = async (to: string, events: string[]) =>
    (await mine.call<{ webhook_id: string }>('POST', '/v1/webhooks', { url: receiver.url + to, events })).body
      .webhook_id;
  const webhookId = await newWebhook(path, ['document.*']);
  const publish = async (type = 'document.deleted') => {
    const { body } = await mine.call<{ id: string; deliveries: { id: string }[] }>('POST', '/v1/events', {
      event: type,
      data: { document_id: 'doc_abc123', dataset_id: 'ds_xyz789' },
    });
    return { eventId: body.id, deliveryId: body.deliveries[0]?.id ?? '' };
  };
  const requests = () => receiver.requests.filter((request) => request.path === path);
  return { ...mine, mine, webhookId, newWebhook, publish, requests };
}

const summary = (page: Page, text: string | RegExp) =>
  page.getByRole('region', { name: 'Summary' }).getByText(text);
const timeline = (page: Page, text: string | RegExp) =>
  page.getByRole('region', { name: 'Timeline' }).getByRole('listitem').filter({ hasText: text });

type WithStyles = { getComputedStyle(element: unknown): { opacity: string } };
const isOpaque = (locator: Locator) =>
  locator.evaluate(
    (element) => (globalThis as unknown as WithStyles).getComputedStyle(element).opacity === '1',
  );

test('a receiver that fails: its delivery counts down to the retry, is retried now, and arrives', async () => {
  broken.set('/mended', 503);
  const { key, mine, publish, requests } = await openAccount('/mended');
  const { deliveryId } = await publish();
  const { page } = await openDashboard(browser, service, '/log', { key });
  const row = page.getByRole('row').filter({ hasText: 'document.deleted' });
  await row.getByRole('cell', { name: 'retrying' }).waitFor();
  await row.getByRole('cell', { name: '503' }).waitFor();
  await row.getByRole('cell', { name: /^in (1 min 00|\d+) s$/ }).waitFor();
  await row.getByRole('link', { name: 'document.deleted' }).press('Enter');

  await heading(page, 'document.deleted').waitFor();
  await summary(page, 'The first attempt failed: 503.').waitFor();
  const countdown = summary(page, /^in \d+ s$/);
  const seconds = async () => Number(/\d+/.exec((await countdown.textContent()) ?? '')?.[0]);
  const atFirst = await seconds();
  await until(seconds, (now) => now < atFirst);
  await timeline(page, /Attempt 1: response 503 after/).waitFor();
  await timeline(page, /Retry scheduled in 1 min/).waitFor();

  broken.delete('/mended');
  await page.getByRole('button', { name: 'Retry now' }).click();
  await summary(page, /^Delivered: 200 in \d+ ms\. 1 of 2 attempts failed: 503\.$/).waitFor();
  await heading(page, 'Attempt 2', 3).waitFor();
  await timeline(page, 'Retry requested by your key “test”').waitFor();
  await timeline(page, /^Delivered/).waitFor();
  expect(requests()).toHaveLength(2);
  const delivery = await waitForStatus(mine, deliveryId, 'delivered');
  expect(delivery.attempts).toHaveLength(2);

  // Both are open: the text does not move while somebody reads it. Another visit begins with the latest one.
  const body = (number: number) => page.getByRole('region', { name: `Response body of attempt ${number}` });
  await body(1).waitFor();
  await body(2).waitFor();
  await page.reload();
  await body(2).waitFor();
  expect(await body(1).isVisible()).toBe(false);
  await timeline(page, /Attempt 1:/)
    .getByRole('link', { name: 'Attempt 1' })
    .click();
  await body(1).waitFor();
  await page.reload();
  await body(1).waitFor();

  // Times are since its acceptance; the time of day is shown to who points at one, or comes to it by keyboard.
  const time = timeline(page, /^Delivered/).getByRole('time');
  const timeOfDay = time.getByText(/20\d\d/);
  expect(await time.textContent()).toMatch(/^\+[\d.]+ (s|min \d\d s)/);
  expect(await time.getAttribute('datetime')).toBe(delivery.ended_at);
  const isShown = () => isOpaque(timeOfDay);
  expect(await isShown()).toBe(false);
  await time.focus();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Tab');
  await until(isShown, (isIt) => isIt);
  await page.mouse.move(0, 0);
  await timeline(page, 'Accepted').getByRole('time').hover();
  const hovered = timeline(page, 'Accepted').getByText(/20\d\d/);
  await until(
    () => isOpaque(hovered),
    (isIt) => isIt,
  );
});

test('the request of an attempt is copied as a curl command, which sends it again; without a clipboard it is shown', async () => {
  const { key, mine, accountId, webhookId, publish, requests } = await openAccount('/curl');
  await mine.call('PATCH', `/v1/webhooks/${webhookId}`, { headers: { 'X-Api-Key': 'not-shown' } });
  const { deliveryId } = await publish();
  await waitForStatus(mine, deliveryId, 'delivered');
  const { page } = await openDashboard(browser, service, `/log/${deliveryId}`, { key });
  const button = page.getByRole('button', { name: 'Copy as curl (attempt 1)' });
  await button.focus();
  await page.keyboard.press('Enter');
  await page.getByText('curl command copied').waitFor();
  await page.getByText('Fill in X-Api-Key.').waitFor();
  const command = await readClipboard(page);
  const { stdout } = await promisify(execFile)('sh', ['-c', command]);
  expect(stdout).toContain('seen');
  const [first, second] = await until(requests, ({ length }) => length === 2);
  expect(second?.body).toEqual(first?.body);
  expect(second?.headers['x-api-key']).toBe('<X-Api-Key>');

  await page.evaluate(`navigator.clipboard.write = () => Promise.reject(new Error('refused'))`);
  await button.click();
  const shown = page.getByRole('region', { name: 'curl command of attempt 1' });
  await shown.getByText('curl --include').waitFor();
  expect(await findBarriers(page)).toEqual([]);

  const reader = await service.newKey({ accountId, scopes: ['webhooks:read'] });
  const { page: readOnly } = await openDashboard(browser, service, `/log/${deliveryId}`, { key: reader });
  const refused = readOnly.getByRole('button', { name: 'Copy as curl (attempt 1)' });
  await refused.waitFor();
  expect([await refused.isDisabled(), await refused.getAttribute('title')]).toEqual([
    true,
    'Your key lacks the scope webhooks:write.',
  ]);
  await mine.call('DELETE', `/v1/webhooks/${webhookId}`);
  await page.reload();
  await button.waitFor();
  expect([await button.isDisabled(), await button.getAttribute('title')]).toEqual([
    true,
    'The webhook was deleted, and its signing secret with it.',
  ]);
});

test('a delivery that does not exist: the page says so, and leads back to the log', async () => {
  const { key } = await openAccount('/unknown');
  const { page } = await openDashboard(browser, service, '/log/dlv_unknown', { key });
  await heading(page, 'Delivery not found', 2).waitFor();
  expect(await page.getByText('…', { exact: true }).count()).toBe(0);
  await page.getByRole('link', { name: 'Back to the delivery log' }).click();
  await heading(page, 'Delivery log').waitFor();
});

test.each(['slack', 'standard', 'data', 'cloudevents'])(
  'the page of a delivery in the format %s shows the body that was sent, and where to',
  async (format) => {
    const { key, mine } = await openAccount('/others');
    const { body: webhook } = await mine.call<{ webhook_id: string }>('POST', '/v1/webhooks', {
      url: `${receiver.url}/${format}`,
      events: ['dataset.*'],
      format,
    });
    const { body } = await mine.call<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
      event: 'dataset.deleted',
      data: { dataset_id: 'ds_xyz789' },
    });
    const deliveryId = body.deliveries[0]?.id ?? '';
    await waitForStatus(mine, deliveryId, 'delivered');
    await mine.call('DELETE', `/v1/webhooks/${webhook.webhook_id}`);
    const { page } = await openDashboard(browser, service, `/log/${deliveryId}`, { key });
    const sent = page.getByRole('region', { name: 'Request of attempt 1' });
    await sent.getByText(`POST ${receiver.url}/${format}`).waitFor();
    await sent.getByText('Request headers', { exact: true }).first().click();
    await sent
      .getByText('The request also had X-FLTR-Signature and webhook-signature, not stored.')
      .waitFor();
    const received = receiver.requests.find(({ path }) => path === `/${format}`)?.body.toString() ?? '';
    const shown = sent.getByRole('region', { name: 'Request body of attempt 1' });
    await until(
      async () => ((await shown.textContent()) ?? '').replaceAll(/\s/g, ''),
      (text) => text === received.replaceAll(/\s/g, ''),
    );
    await sent.getByText(`Request body, ${Buffer.byteLength(received)} bytes`, { exact: true }).waitFor();
    await sent.getByLabel('Formatted').click();
    await until(
      () => shown.textContent(),
      (text) => text === received,
    );
  },
);

test('a waiting delivery is given another time, then canceled, and actions that are not possible are not offered', async () => {
  broken.set('/waits', 503);
  const { key, mine, publish, requests } = await openAccount('/waits');
  const { deliveryId } = await publish();
  await waitForStatus(mine, deliveryId, 'retrying');
  const { page } = await openDashboard(browser, service, `/log/${deliveryId}`, { key });
  await page.getByRole('button', { name: 'Reschedule' }).click();
  const dialog = page.getByRole('dialog', { name: 'Reschedule the next attempt' });
  const at = new Date(Date.now() + 2 * 3_600_000).toISOString().slice(0, 16);
  await dialog.getByLabel('Next attempt').fill(at);
  await dialog.getByRole('button', { name: 'Reschedule' }).click();
  await dialog.waitFor({ state: 'detached' });
  await summary(page, /^in (1 h 59|2 h 00) min$/).waitFor();
  await timeline(page, 'Next attempt rescheduled to').waitFor();
  expect((await readDelivery(mine, deliveryId)).next_attempt_at?.slice(0, 16)).toBe(at);

  await page.getByRole('button', { name: 'Cancel' }).click();
  const question = page.getByRole('alertdialog', { name: 'Cancel this delivery?' });
  await question.getByRole('button', { name: 'Back' }).click();
  await question.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Cancel' }).click();
  await question.getByRole('button', { name: 'Cancel the delivery' }).click();
  await summary(page, 'It was canceled by a user.').waitFor();
  for (const name of ['Retry now', 'Reschedule', 'Cancel'])
    expect([name, await page.getByRole('button', { name, exact: true }).count()]).toEqual([name, 0]);
  expect(requests()).toHaveLength(1);
});

test('a delivered delivery is sent again only after a confirmation', async () => {
  const { key, mine, publish, requests } = await openAccount('/again');
  const { deliveryId } = await publish();
  await waitForStatus(mine, deliveryId, 'delivered');
  const { page } = await openDashboard(browser, service, `/log/${deliveryId}`, { key });
  await page.getByRole('button', { name: 'Resend' }).click();
  const question = page.getByRole('alertdialog', { name: 'Resend this delivery?' });
  await question.waitFor();
  expect(requests()).toHaveLength(1);
  await question.getByRole('button', { name: 'Resend the delivery' }).click();
  await heading(page, 'Attempt 2', 3).waitFor();
  await until(requests, ({ length }) => length === 2);
});

test('nothing is retried or resent where its webhook is paused or deleted, and the page says why', async () => {
  broken.set('/off', 404);
  const { key, mine, webhookId, publish } = await openAccount('/off');
  const { deliveryId: failed } = await publish();
  await waitForStatus(mine, failed, 'failed');
  broken.delete('/off');
  const { deliveryId: delivered } = await publish();
  await waitForStatus(mine, delivered, 'delivered');
  const { page } = await openDashboard(browser, service, '/log', { key });
  const isRefused = async (deliveryId: string, name: string, words: string) => {
    await page.goto(`/log/${deliveryId}`);
    await page.getByRole('main').getByText(words, { exact: true }).waitFor();
    const button = page.getByRole('button', { name });
    expect([name, await button.isDisabled(), await button.getAttribute('title')]).toEqual([
      name,
      true,
      words,
    ]);
  };
  await mine.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
  const paused = 'The webhook is paused. Activate it first.';
  await isRefused(failed, 'Retry now', paused);
  const link = page.getByRole('region', { name: 'Summary' }).getByRole('link', { name: 'View webhook' });
  expect(await link.getAttribute('href')).toBe(`/webhooks/${webhookId}`);
  await isRefused(delivered, 'Resend', paused);
  const { status, text } = await mine.call('POST', `/v1/deliveries/${failed}/retry`);
  expect([status, text]).toEqual([409, expect.stringContaining('Activate the webhook, then retry.')]);
  await mine.call('DELETE', `/v1/webhooks/${webhookId}`);
  const gone = 'The webhook was deleted, so nothing can be sent to it.';
  await isRefused(failed, 'Retry now', gone);
  await isRefused(delivered, 'Resend', gone);
  expect(await link.count()).toBe(0);
});

test('filters stand in the address: a reload and the back button keep them, and clearing shows all', async () => {
  const { key, accountId, webhookId } = await openAccount('/filtered');
  await insertPast(service, { accountId, webhookId, count: 40, failedEvery: 10 });
  const { page } = await openDashboard(browser, service, '/log', { key });
  const filters = page.getByRole('form', { name: 'Log filters' });
  const rows = page.getByRole('row').filter({ has: page.getByRole('rowheader') });
  const tab = (name: string) =>
    page.getByRole('navigation', { name: 'Status' }).getByRole('link', { name: new RegExp(`^${name}`) });
  await untilCount(rows, 40);
  await tab('Failed').click();
  await filters.getByLabel('Code').fill('4xx');
  await filters.getByLabel('Accepted').selectOption('Last 24 hours');
  await filters.getByLabel('Webhook').selectOption({ index: 1 });
  const isFiltered = async () => {
    await untilCount(rows, 4);
    expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({
      status: 'failed',
      code: '4xx',
      last: '24h',
      webhook_id: webhookId,
    });
    expect(await tab('Failed').getAttribute('aria-current')).toBe('page');
    expect(await filters.getByLabel('Code').inputValue()).toBe('4xx');
    expect(await filters.getByLabel('Accepted').inputValue()).toBe('24h');
    expect(await filters.getByLabel('Webhook').inputValue()).toBe(webhookId);
  };
  await isFiltered();
  await page.reload();
  await isFiltered();
  await rows.first().getByRole('link').click();
  await summary(page, /returned a 4xx response/).waitFor();
  await page.goBack();
  await isFiltered();

  await filters.getByLabel('Code').fill('9');
  await until(
    () => describedAs(filters.getByLabel('Code')),
    (text) => text.includes('5xx'),
  );
  await filters.getByLabel('Code').fill('500');
  await until(
    () => new URL(page.url()).search,
    (text) => text.includes('code=500&') || text.endsWith('code=500'),
  );
  await heading(page, 'No deliveries match these filters', 2).waitFor();
  await page.getByRole('link', { name: 'Clear filters' }).click();
  await untilCount(rows, 40);
  expect(await filters.getByLabel('Code').inputValue()).toBe('');
  // Filters are cleared beside their results, too, and Back undoes a filter.
  await tab('Failed').click();
  await untilCount(rows, 4);
  await page.getByRole('link', { name: 'Clear', exact: true }).click();
  await untilCount(rows, 40);
  await page.goBack();
  await untilCount(rows, 4);
  expect(await tab('Failed').getAttribute('aria-current')).toBe('page');
});

test('tabs count the deliveries of each status; filters by error and event are chips, and each is removed by itself', async () => {
  broken.set('/tabs', 503);
  const { key, mine, newWebhook, publish } = await openAccount('/tabs');
  const { eventId, deliveryId } = await publish();
  await waitForStatus(mine, deliveryId, 'retrying');
  broken.set('/tabs', 404);
  await waitForStatus(mine, (await publish()).deliveryId, 'failed');
  const { body: silent } = await mine.call<{ webhook_id: string }>('POST', '/v1/webhooks', {
    url: 'http://localhost:9/nobody',
    events: ['dataset.deleted'],
  });
  await newWebhook('/delivered', ['dataset.*']);
  await mine.call('POST', '/v1/events', { event: 'dataset.deleted', data: { dataset_id: 'ds_xyz789' } });
  const { page } = await openDashboard(browser, service, '/log', { key });
  const tab = (name: string) => page.getByRole('navigation', { name: 'Status' }).getByRole('link', { name });
  const rows = page.getByRole('row').filter({ has: page.getByRole('rowheader') });
  for (const name of ['All 4', 'Failed 1', 'Retrying 2', 'Pending 0', 'Held 0', 'Delivered 1', 'Canceled 0'])
    await tab(name).waitFor();
  await tab('Retrying 2').click();
  await untilCount(rows, 2);
  const filters = page.getByRole('form', { name: 'Log filters' });
  await filters.getByLabel('Error').selectOption('No response');
  await untilCount(rows, 1);
  await rows.getByRole('cell', { name: 'connection refused', exact: true }).waitFor();
  // The counts follow the other filters, not the status itself.
  for (const name of ['All 1', 'Failed 0', 'Retrying 1']) await tab(name).waitFor();
  await filters.getByLabel('Webhook').selectOption(silent.webhook_id);
  const chips = page.getByRole('list', { name: 'Active filters' });
  const chip = (name: string) => chips.getByRole('link', { name: `Remove filter ${name}` });
  await chip('Webhook: localhost:9/nobody').waitFor();
  await chip('Error: No response').focus();
  await page.keyboard.press('Enter');
  await chip('Error: No response').waitFor({ state: 'detached' });
  // The focus stays beside the removed one.
  await untilFocused(chips);
  expect(new URL(page.url()).search).toBe(`?status=retrying&webhook_id=${silent.webhook_id}`);
  await page.goBack();
  await chip('Error: No response').waitFor();
  await chips.getByRole('link', { name: 'Clear' }).click();
  await untilCount(rows, 4);
  expect(await chips.getByRole('link').count()).toBe(0);

  await page.goto(`/log?event_id=${eventId}&since=2024-01-10T12:00:00Z`);
  await chip(`Event: ${eventId}`).waitFor();
  await chip('Accepted from: 10 Jan 2024').waitFor();
  await untilCount(rows, 1);
  await chip('Event: ').click();
  await untilCount(rows, 4);
  expect(new URL(page.url()).search).toBe('?since=2024-01-10T12:00:00Z');
});

test('new rows do not move those that somebody is reading further down', async () => {
  const { key, accountId, webhookId, publish } = await openAccount('/read');
  await insertPast(service, { accountId, webhookId, count: 50 });
  const { page } = await openDashboard(browser, service, '/log', { key });
  await page.getByRole('row').nth(50).waitFor({ state: 'attached' });
  const read = page.getByRole('row').nth(30).getByRole('link');
  const href = await read.getAttribute('href');
  await read.scrollIntoViewIfNeeded();
  await page.mouse.wheel(0, 100);
  await until(
    () => scrolled(page),
    (y) => y > 0,
  );
  const position = async () =>
    (
      await page
        .getByRole('link')
        .and(page.locator(`[href="${href}"]`))
        .boundingBox()
    )?.y;
  const before = await until(
    async () => [await position(), await position()],
    ([one, two]) => one === two,
  );
  await publish('document.deleted');
  await page.getByRole('button', { name: '1 new' }).waitFor();
  await publish('document.deleted');
  await page.getByRole('button', { name: '2 new' }).waitFor();
  expect(await position()).toBe(before[0]);
  await page.getByRole('button', { name: '2 new' }).click();
  await until(
    () => scrolled(page),
    (y) => y === 0,
  );
  await page.getByRole('button', { name: '2 new' }).waitFor({ state: 'detached' });
  await page.getByRole('row').nth(2).getByRole('cell', { name: 'delivered' }).waitFor();
});

test('an event is found by its id, and its page says which webhooks got it, which did not, and why', async () => {
  broken.set('/refuses', 410);
  const { key, newWebhook, publish } = await openAccount('/got');
  await newWebhook('/refuses', ['*']);
  await newWebhook('/elsewhere', ['dataset.*']);
  const { eventId } = await publish();
  await newWebhook('/later', ['document.*']);
  const { page } = await openDashboard(browser, service, '/events', { key });
  await page.getByRole('row').filter({ hasText: eventId }).waitFor();
  const field = page.getByLabel('Find by id');
  await field.fill('evt_unknown');
  await page.getByRole('button', { name: 'Find' }).click();
  await until(
    () => describedAs(field),
    (text) => text.includes('No event with the id evt_unknown was found'),
  );
  await field.fill(eventId);
  await page.getByRole('button', { name: 'Find' }).click();
  await heading(page, 'document.deleted').waitFor();
  expect(new URL(page.url()).pathname).toBe(`/events/${eventId}`);
  const deliveries = page.getByRole('region', { name: 'Deliveries' }).getByRole('row');
  await deliveries.filter({ hasText: '/got' }).getByText('Delivered.').waitFor();
  await deliveries
    .filter({ hasText: '/refuses' })
    .getByText(/returned a 4xx response/)
    .waitFor();
  expect(await deliveries.count()).toBe(3);
  await page.getByText('Not sent to 2 webhooks, and why').click();
  const others = page.getByRole('listitem');
  await others
    .filter({ hasText: '/elsewhere' })
    .getByText('Not subscribed to this type, only to dataset.*.')
    .waitFor();
  await others
    .filter({ hasText: '/later' })
    .getByText(/^Created after the event/)
    .waitFor();
});

test('a webhook that was disabled automatically shows why; once it is active, failed deliveries are counted and sent again', async () => {
  broken.set('/recovers', 404);
  const { key, mine, webhookId, publish, requests } = await openAccount('/recovers');
  for (let count = 0; count < 3; count += 1)
    await waitForStatus(mine, (await publish()).deliveryId, 'failed');
  const { page } = await openDashboard(browser, service, '/webhooks', { key });
  const row = page.getByRole('row').filter({ hasText: '/recovers' });
  // The list asks again every 15 seconds.
  await row.getByText('disabled', { exact: true }).waitFor({ timeout: 60_000 });
  await row.getByRole('link').click();
  await page.getByText(/3 of 3 deliveries failed within 24 hours \(100%\)/).waitFor();

  const recover = page.getByRole('region', { name: 'Recover' });
  const count = recover.getByRole('button', { name: 'Preview' });
  expect([await count.isDisabled(), await count.getAttribute('title')]).toEqual([
    true,
    'Activate the webhook first.',
  ]);
  broken.delete('/recovers');
  await page.getByRole('button', { name: 'Activate' }).click();
  const dialog = page.getByRole('dialog', { name: 'Activate this webhook' });
  await dialog.getByText('No delivery is held.').waitFor();
  await dialog.getByRole('button', { name: 'Activate' }).click();
  await page.getByRole('button', { name: 'Pause' }).waitFor();

  await count.click();
  await recover.getByText('3 deliveries would be resent.').waitFor();
  expect(requests()).toHaveLength(3);
  await recover.getByRole('button', { name: 'Resend' }).click();
  await recover.getByText('completed', { exact: true }).waitFor();
  await recover.getByText('3 of 3 resent', { exact: true }).waitFor();
  await until(requests, ({ length }) => length === 6);
  const delivered = recover.getByRole('link', { name: '3 delivered' });
  await delivered.waitFor();
  expect(await delivered.getAttribute('href')).toMatch(/\/log\?operation_id=rec_\w+&status=delivered$/);
  // The address knows of it.
  await page.reload();
  await recover.getByText('3 of 3 resent', { exact: true }).waitFor();
  await recover.getByRole('button', { name: 'Recover something else' }).click();
  await recover.getByText(/completed, 3 of 3/).waitFor();
  await recover.getByRole('link', { name: 'Recovery' }).waitFor();
  await count.click();
  await recover.getByText('There is nothing to resend in this period.').waitFor();
  const { body } = await mine.call<{ active: boolean }>('GET', `/v1/webhooks/${webhookId}`);
  expect(body.active).toBe(true);
});
