import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import {
  heading,
  openDashboard,
  untilCount,
  untilFocused,
  untilLoaded,
  untilRefused,
} from '../kit/open-dashboard.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let browser: Browser;
beforeAll(async () => {
  [service, browser] = await Promise.all([
    startService({ FLTR_RETRY_SCHEDULE_SECONDS: '3600' }),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service));

const part = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
const radio = (page: Page, name: string | RegExp) => page.getByRole('radio', { name });
const background = (page: Page) => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');

test('an account is renamed by keyboard; everything that shows the name follows', async () => {
  const { accountId, key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/settings', { key });
  await heading(page, 'Settings').waitFor();
  await part(page, 'Account').getByText(accountId).waitFor();
  const name = page.getByLabel('Name', { exact: true });
  expect(await name.inputValue()).toBe('test');
  const rename = page.getByRole('button', { name: 'Rename' });
  expect(await rename.isDisabled()).toBe(true);

  await name.focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('left \u202e right');
  await page.keyboard.press('Enter');
  await untilRefused(name, /control characters/);
  await name.focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('Acme <b>& sons</b>');
  await page.keyboard.press('Tab');
  await untilFocused(rename);
  await page.keyboard.press('Enter');
  await page.getByText('The account was renamed').waitFor();
  await page.getByRole('banner').getByText('Acme <b>& sons</b>').waitFor();
  await page.reload();
  expect(await name.inputValue()).toBe('Acme <b>& sons</b>');
  const { body } = await call<{ name: string }>(service.apiUrl, key, 'GET', '/v1/account');
  expect(body.name).toBe('Acme <b>& sons</b>');

  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByText(`Key “test” changed the account ${accountId}: name`).waitFor();
});

test('a key that only reads says why it cannot rename; an operator renames the account acted for', async () => {
  const { accountId, key } = await service.newAccount();
  const reader = await service.newKey({ accountId, scopes: ['webhooks:read'] });
  const { page } = await openDashboard(browser, service, '/settings', { key: reader });
  expect(await page.getByLabel('Name', { exact: true }).isDisabled()).toBe(true);
  expect(await page.getByRole('button', { name: 'Rename' }).isDisabled()).toBe(true);
  await part(page, 'Account').getByText('To rename the account, sign in with a key').waitFor();

  const operator = await service.newKey({ accountId: null });
  const other = await openDashboard(browser, service, '/settings', { key: operator });
  await part(other.page, 'This browser').waitFor();
  await untilCount(part(other.page, 'Account'), 0);
  await other.page.goto(`/as/${accountId}/settings`);
  await other.page.getByLabel('Name', { exact: true }).fill('Renamed by the operator');
  await other.page.getByRole('button', { name: 'Rename' }).click();
  await other.page.getByText('Acting for Renamed by the operator').waitFor();
  const { body } = await call<{ name: string }>(service.apiUrl, key, 'GET', '/v1/account');
  expect(body.name).toBe('Renamed by the operator');
});

test('the theme: light, dark or as the system, by keyboard, kept, and the same in all tabs', async () => {
  const { key } = await service.newAccount();
  const { page, context } = await openDashboard(browser, service, '/settings', { key, colorScheme: 'dark' });
  await radio(page, 'As the system').waitFor();
  expect(await radio(page, 'As the system').isChecked()).toBe(true);
  const inDark = await background(page);
  const other = await context.newPage();
  await other.goto('/webhooks');
  await heading(other, 'Webhooks').waitFor();

  await radio(page, 'As the system').focus();
  await page.keyboard.press('ArrowDown');
  await untilFocused(radio(page, 'Light'));
  const inLight = await background(page);
  expect(inLight).not.toBe(inDark);
  await until(
    () => background(other),
    (color) => color === inLight,
  );
  await other.getByRole('button', { name: 'Dark' }).click();
  await until(
    () => radio(page, 'Dark').isChecked(),
    (is) => is,
  );
  expect(await background(page)).toBe(inDark);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.reload();
  expect([await background(page), await radio(page, 'Dark').isChecked()]).toEqual([inDark, true]);
  await radio(page, 'As the system').check();
  expect(await background(page)).toBe(inLight);
  await page.reload();
  await radio(page, 'As the system').waitFor();
  expect(await background(page)).toBe(inLight);
});

/** An account with a delivery that waits for its retry. */
async function openAccount() {
  const { accountId, key } = await service.newAccount();
  const mine: Service = { ...service, accountId, key, call: (...args) => call(service.apiUrl, key, ...args) };
  const { body: webhook } = await mine.call<{ webhook_id: string }>('POST', '/v1/webhooks', {
    url: 'http://127.0.0.1:1/',
    events: ['*'],
  });
  const { body } = await mine.call<{ id: string; deliveries: { id: string }[] }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  const deliveryId = body.deliveries[0]?.id ?? '';
  await waitForStatus(mine, deliveryId, 'retrying');
  const { created_at: acceptedAt } = (
    await mine.call<{ created_at: string }>('GET', `/v1/deliveries/${deliveryId}`)
  ).body;
  return { key, mine, webhookId: webhook.webhook_id, eventId: body.id, deliveryId, acceptedAt };
}

/** The time as the pages write it. */
const written = (at: string, timeZone: string) =>
  new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium', timeZone });
const entered = (at: string, hours: number) =>
  new Date(Date.parse(at) + hours * 3_600_000).toISOString().slice(0, 16);

test('times are local or in UTC, in every place that shows or takes one', async () => {
  const { key, mine, webhookId, eventId, deliveryId, acceptedAt } = await openAccount();
  const { page } = await openDashboard(browser, service, '/settings', { key, timezoneId: 'Asia/Kolkata' });
  const inKolkata = written(acceptedAt, 'Asia/Kolkata');
  const inUtc = `${written(acceptedAt, 'UTC')} UTC`;
  const ends = part(page, 'Session').getByRole('time').last();
  await radio(page, 'Local time (Asia/Calcutta)').or(radio(page, 'Local time (Asia/Kolkata)')).waitFor();
  const endsAt = (await ends.getAttribute('datetime')) ?? '';
  expect(await ends.textContent()).toBe(written(endsAt, 'Asia/Kolkata'));

  /** Shown on the pages, at a chart, in the search, and in fields for a time. */
  const shown = async (): Promise<Record<string, string | null>> => {
    const texts: Record<string, string | null> = {};
    await page.goto('/log');
    texts['tooltip'] = await page.locator(`time[datetime="${acceptedAt}"]`).first().getAttribute('title');
    await page.goto(`/log/${deliveryId}`);
    await heading(page, 'document.deleted').waitFor();
    texts['fact'] = await page
      .locator(`dd time[datetime="${acceptedAt}"]`)
      .filter({ hasText: /\d\d:\d\d/ })
      .first()
      .textContent();
    texts['offset'] = await page
      .getByRole('region', { name: 'Timeline' })
      .locator('.offset-time')
      .first()
      .textContent();
    await page.goto(`/webhooks/${webhookId}`);
    const chart = page.getByRole('figure').first();
    texts['bucket'] = (await chart.getByRole('rowheader').last().textContent()) ?? '';
    texts['axis'] = (await chart.locator('.chart-labels').textContent()) ?? '';
    await page.goto('/webhooks');
    texts['day'] = await page.locator('time[title]').first().getAttribute('title');
    await page.keyboard.press('/');
    await page.getByRole('combobox').fill(eventId);
    texts['search'] = await page.getByRole('option').first().getByRole('time').textContent();
    await page.keyboard.press('Escape');
    await page.goto(`/events?since=${acceptedAt}`);
    texts['chip'] = await page.getByRole('time').filter({ hasText: ':' }).first().textContent();
    texts['input'] = await page.getByLabel('From').inputValue();
    return texts;
  };
  const local = await shown();
  expect(local).toMatchObject({ tooltip: inKolkata, fact: inKolkata, search: inKolkata, chip: inKolkata });
  expect(local['input']).toBe(entered(acceptedAt, 5.5));
  expect(local['bucket']).toMatch(/:30 to \d\d:30$/);
  await page.getByLabel('From (local time)').waitFor();

  await page.goto('/settings');
  await radio(page, /^Local time/).focus();
  await page.keyboard.press('ArrowDown');
  await untilFocused(radio(page, /^UTC/));
  expect(await ends.textContent()).toBe(`${written(endsAt, 'UTC')} UTC`);
  const utc = await shown();
  expect(utc).toMatchObject({ tooltip: inUtc, fact: inUtc, search: inUtc, chip: inUtc });
  expect(utc['input']).toBe(entered(acceptedAt, 0));
  expect(utc['bucket']).toMatch(/:00 to \d\d:00 UTC$/);
  expect(utc['offset']).toMatch(/ UTC$/);
  expect(utc['axis']).not.toBe(local['axis']);
  expect(utc['day']).toMatch(/ UTC$/);

  // An entered time is in the zone that the label names.
  await page.goto(`/log/${deliveryId}`);
  await page.getByRole('button', { name: 'Reschedule' }).click();
  const dialog = page.getByRole('dialog', { name: 'Reschedule the next attempt' });
  const at = entered(new Date().toISOString(), 2);
  await dialog.getByLabel('Next attempt (UTC)').fill(at);
  await dialog.getByRole('button', { name: 'Reschedule' }).click();
  await dialog.waitFor({ state: 'detached' });
  const next = async () =>
    (await mine.call<{ next_attempt_at: string }>('GET', `/v1/deliveries/${deliveryId}`)).body
      .next_attempt_at;
  await until(next, (time) => time.slice(0, 16) === at);
});

test.each([
  { colorScheme: 'light', width: 1280 },
  { colorScheme: 'dark', width: 360 },
] as const)('with times in UTC, in $colorScheme, $width wide: no barrier, no overflow', async (window) => {
  const { key, webhookId, eventId, deliveryId, acceptedAt } = await openAccount();
  const { page } = await openDashboard(browser, service, '/settings', { key, ...window });
  await radio(page, /^UTC/).check();
  for (const path of [
    '/settings',
    `/log?since=${acceptedAt}`,
    `/log/${deliveryId}`,
    `/events?since=${acceptedAt}`,
    `/events/${eventId}`,
    `/webhooks/${webhookId}`,
    '/audit',
  ]) {
    await page.goto(path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await untilLoaded(page);
    await page.locator('[aria-busy="true"]').waitFor({ state: 'detached' });
    expect([path, await findBarriers(page)]).toEqual([path, []]);
    const width = await page.evaluate<number>('document.scrollingElement.scrollWidth');
    expect([path, width <= window.width]).toEqual([path, true]);
  }
});
