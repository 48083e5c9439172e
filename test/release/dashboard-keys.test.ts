import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { launchBrowser } from '../kit/browser.ts';
import { heading, openDashboard, readClipboard, untilCount, untilFocused } from '../kit/open-dashboard.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService({
      FLTR_RETRY_SCHEDULE_SECONDS: '60,7200',
      FLTR_DELIVERIES_PER_HOUR: '777',
      FLTR_MAX_WEBHOOKS_PER_ACCOUNT: '7',
      FLTR_HOLD_HOURS: '48',
      FLTR_ATTEMPT_TIMEOUT_MS: '4000',
      FLTR_RETENTION_DAYS: '0',
    }),
    startReceiver(),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service, receiver));

const row = (page: Page, name: string) =>
  page.getByRole('row').filter({ has: page.getByRole('rowheader', { name, exact: true }) });

test('a key is made, shown once, copied, calls the API, and is refused once it is revoked', async () => {
  const { key: mine } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/keys', { key: mine });
  await row(page, 'test').getByText('active (this session)').waitFor();
  const trigger = page.getByRole('button', { name: 'Create key' });
  await trigger.click();
  const form = page.getByRole('dialog', { name: 'Create an API key' });
  await form.getByLabel('Name').fill('Producer');
  const create = form.getByRole('button', { name: 'Create', exact: true });
  expect(await create.isDisabled()).toBe(true);
  await form.getByRole('checkbox', { name: 'webhooks:read' }).check();
  await form.getByRole('checkbox', { name: 'events:write' }).check();
  await create.click();

  const shown = page.getByRole('dialog', { name: 'Your new key' });
  const key = (await shown.getByRole('region', { name: 'API key' }).textContent()) ?? '';
  expect(key).toMatch(/^fltr_/);
  await shown.getByRole('button', { name: 'Copy' }).first().click();
  await shown.getByText('Copied').waitFor();
  expect(await readClipboard(page)).toBe(key);
  await shown.getByRole('button', { name: 'I have saved it' }).click();
  await shown.waitFor({ state: 'detached' });
  await untilFocused(trigger);
  expect(await page.content()).not.toContain(key);
  await trigger.click();
  expect(await form.getByLabel('Name').inputValue()).toBe('');
  await page.keyboard.press('Escape');
  await form.waitFor({ state: 'detached' });

  const status = async () => (await call(service.apiUrl, key, 'GET', '/v1/webhooks')).status;
  expect(await status()).toBe(200);
  await row(page, 'Producer').getByText('active', { exact: true }).waitFor();
  // The page shows by itself when the key was last used, beside when it was created.
  await untilCount(row(page, 'Producer').getByRole('time'), 2);
  await row(page, 'Producer').getByRole('button', { name: 'Revoke' }).click();
  const question = page.getByRole('alertdialog', { name: 'Revoke the key “Producer”?' });
  await question.getByRole('button', { name: 'Revoke the key' }).click();
  await row(page, 'Producer').getByText('revoked').waitFor();
  expect(await row(page, 'Producer').getByRole('button').count()).toBe(0);
  await until(status, (now) => now === 401);
});

test('revoking the key that one is signed in with says so, and signs out', async () => {
  const { key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/keys', { key });
  await page.getByRole('button', { name: 'Revoke' }).click();
  const question = page.getByRole('alertdialog');
  await question.getByText('You are signed in with this key').waitFor();
  await question.getByRole('button', { name: 'Revoke the key' }).click();
  await heading(page, 'Sign in').waitFor();
});

test('actions that a key’s scopes do not allow are disabled, with the reason; missing scopes cannot be given to another key', async () => {
  const { accountId, key: owner } = await service.newAccount();
  const mine: Service = { ...service, call: (...args) => call(service.apiUrl, owner, ...args) };
  const { body: webhook } = await mine.call<{ webhook_id: string }>('POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['*'],
  });
  const { body: event } = await mine.call<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  const deliveryId = event.deliveries[0]?.id ?? '';
  await waitForStatus(mine, deliveryId, 'delivered');
  const reader = await service.newKey({ accountId, scopes: ['webhooks:read'] });
  const { page } = await openDashboard(browser, service, '/webhooks', { key: reader });
  const disabled = async (path: string, scope: string, names: string[]) => {
    await page.goto(path);
    for (const name of names) {
      const button = page.getByRole('button', { name, exact: true }).first();
      await button.waitFor();
      expect([name, await button.isDisabled(), await button.getAttribute('title')]).toEqual([
        name,
        true,
        `Your key lacks the scope ${scope}.`,
      ]);
    }
    // A title alone is not seen by who uses a keyboard or a touch screen.
    await page.getByText(/sign in with a key that has the scope/).waitFor();
  };
  await disabled(`/webhooks/${webhook.webhook_id}`, 'webhooks:write', [
    'Edit',
    'Pause',
    'Delete',
    'Rotate',
    'Reveal secret',
    'Send test event',
    'Preview',
  ]);
  await disabled('/webhooks', 'webhooks:write', ['Create webhook']);
  await disabled('/webhooks/new', 'webhooks:write', ['Create']);
  await disabled(`/log/${deliveryId}`, 'webhooks:write', ['Resend']);
  await disabled('/events/send', 'events:write', ['Send event']);
  await disabled('/keys', 'webhooks:write', ['Create key', 'Revoke']);

  const writer = await service.newKey({ accountId, scopes: ['webhooks:read', 'webhooks:write'] });
  const other = await openDashboard(browser, service, '/keys', { key: writer });
  await other.page.getByRole('button', { name: 'Create key' }).click();
  await other.page.getByRole('checkbox', { name: 'webhooks:write' }).check();
  expect(await other.page.getByRole('checkbox', { name: 'events:write' }).isDisabled()).toBe(true);
});

test('objects of another account are not found', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const { id: eventId, deliveries } = await service.publish();
  const [delivery] = deliveries;
  await waitForStatus(service, delivery?.id ?? '', 'delivered');
  const { key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/webhooks', { key });
  for (const path of [
    `/webhooks/${webhookId}`,
    `/log/${delivery?.id}`,
    `/events/${eventId}`,
    '/webhooks/wh_unknown',
  ]) {
    await page.goto(path);
    await heading(page, /^(Webhook|Delivery|Event) not found$/, 2).waitFor();
    const text = await page.getByRole('main').innerText();
    expect(text).not.toContain(receiver.url.replace('http://', ''));
  }
  await page.goto('/nowhere');
  await heading(page, 'Page not found').waitFor();
  await page.goto(`/log?webhook_id=${webhookId}`);
  await heading(page, 'No deliveries match these filters', 2).waitFor();
});

test('the settings are those that the service runs with', async () => {
  const { page } = await openDashboard(browser, service, '/settings');
  const group = (name: string) => page.getByRole('region', { name });
  const attempts = group('Attempts');
  await attempts.getByText('4,000 ms per attempt').waitFor();
  await attempts.getByText('2, after 1 min, 2 h').waitFor();
  await attempts.getByText(/^777 attempts per webhook/).waitFor();
  await group('Webhooks').getByText('7 per account').waitFor();
  await group('Webhooks')
    .getByText(/^kept for 48 hours/)
    .waitFor();
  await group('Limits and retention').getByText('kept forever').waitFor();
  await group('Version and pages').getByText('development', { exact: true }).waitFor();
  await group('Account').getByText(service.accountId).waitFor();
  await group('Session').getByText('events:write').waitFor();
  expect(await page.content()).not.toContain(service.key);
});
