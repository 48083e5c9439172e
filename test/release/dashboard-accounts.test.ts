import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import {
  heading,
  openDashboard,
  untilCount,
  untilFocused,
  untilLoaded,
  untilRefused,
} from '../kit/open-dashboard.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 180_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
let operator: string;
const refusal = 'Only a service key can open this.';
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([startService(), startReceiver(), launchBrowser()]);
  operator = await service.newKey({ accountId: null });
  await put('acme', { name: 'Acme', metadata: { plan: 'pro' } });
  await put('other', { name: 'Other' });
  await service.call('POST', '/v1/webhooks', { url: 'https://example.com/not-acme', events: ['*'] });
});
afterAll(() => stopAll(browser, service, receiver));

const put = (id: string, body: object) => call(service.apiUrl, operator, 'PUT', `/v1/accounts/${id}`, body);
const open = (path: string, options: object = {}) =>
  openDashboard(browser, service, path, { key: operator, ...options });

test('an operator finds an account, acts for it, and leaves it', async () => {
  const { page, complaints } = await open('/');
  await heading(page, 'Accounts').waitFor();
  const links = page.getByRole('navigation', { name: 'Main' }).getByRole('link');
  expect(await links.allTextContents()).toEqual(['Accounts', 'Settings', 'API reference']);
  const find = page.getByRole('searchbox', { name: 'Find by id or name' });
  await find.fill('acm');
  await find.press('Enter');
  await page.waitForURL('**/accounts?q=acm');
  await untilCount(page.getByRole('row'), 2);
  await page.getByRole('link', { name: 'Open Acme' }).click();

  await page.waitForURL('**/as/acme/webhooks');
  await heading(page, 'Webhooks').waitFor();
  const banner = page.getByRole('region', { name: 'Acting for an account' });
  await banner.getByText('Acting for Acme').waitFor();
  await page.getByRole('main').getByRole('link', { name: 'Create webhook' }).first().click();
  await page.waitForURL('**/as/acme/webhooks/new');
  await page.getByLabel('URL', { exact: true }).fill(`${receiver.url}/of-acme`);
  await page.getByRole('checkbox', { name: 'document.deleted', exact: true }).check();
  await page.getByRole('button', { name: 'Create' }).click();
  await heading(page, /of-acme$/).waitFor();
  const ofAcme = await call<{ data: { url: string }[] }>(
    service.apiUrl,
    operator,
    'GET',
    '/v1/webhooks',
    undefined,
    {
      'fltr-account': 'acme',
    },
  );
  expect(ofAcme.body.data.map(({ url }) => url)).toEqual([`${receiver.url}/of-acme`]);

  // A reload and a new tab stay with the account.
  await page.reload();
  await banner.getByText('Acting for Acme').waitFor();
  await page.getByRole('link', { name: 'Events', exact: true }).click();
  await page.waitForURL('**/as/acme/events');
  await banner.getByRole('link', { name: 'Leave' }).click();
  await page.waitForURL('**/accounts/acme');
  await heading(page, 'Acme').waitFor();
  await page.goto('/as/nobody/webhooks');
  await page.getByText('There is no such account.').waitFor();
  expect(complaints.splice(0)).toEqual([expect.stringContaining('There is no such account.')]);
  await page.getByRole('link', { name: 'Leave “nobody”' }).click();
  await heading(page, 'Accounts').waitFor();
});

test('only the pages of an account have a stream, that of the account: new events are shown at once', async () => {
  const { page } = await open('/accounts');
  const streamsFor: (string | null)[] = [];
  page.on('request', (request) => {
    if (!request.url().endsWith('/v1/stream')) return;
    streamsFor.push(request.headers()['fltr-account'] ?? null);
  });
  await page.reload();
  await heading(page, 'Accounts').waitFor();
  await untilLoaded(page);
  expect(streamsFor).toEqual([]);

  await page.goto('/as/acme/events');
  await heading(page, 'Events').waitFor();
  await untilLoaded(page);
  expect(streamsFor).toEqual(['acme']);
  const publish = async (account: string) => {
    const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 'd' } };
    const headers = { 'fltr-account': account };
    return (await call<{ id: string }>(service.apiUrl, operator, 'POST', '/v1/events', event, headers)).body
      .id;
  };
  const notAcmes = await publish('other');
  const acmes = await publish('acme');
  await page.getByRole('row').filter({ hasText: acmes }).waitFor();
  expect(await page.getByRole('row').filter({ hasText: notAcmes }).count()).toBe(0);
});

test('an account is created, changed and deleted, with its id typed', async () => {
  const { page } = await open('/accounts');
  await page.getByRole('button', { name: 'Create account' }).click();
  const dialog = page.getByRole('dialog').or(page.getByRole('alertdialog'));
  await dialog.getByLabel('Id').fill('acme');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.getByText('There is an account with the id acme already.').waitFor();
  await dialog.getByLabel('Id').fill('new_one');
  await dialog.getByLabel('Most webhooks').fill('many');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await untilRefused(dialog.getByLabel('Most webhooks'), /whole number/);
  await dialog.getByLabel('Most webhooks').fill('7');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await page.waitForURL('**/accounts/new_one');
  await heading(page, 'new_one').waitFor();
  await page.getByRole('region', { name: 'Limits' }).getByText('7').waitFor();

  await page.getByRole('button', { name: 'Edit' }).click();
  await dialog.getByLabel('Name').fill('Renamed');
  await dialog.getByLabel('Metadata').fill('plan=free');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await heading(page, 'Renamed').waitFor();
  await page.getByRole('region', { name: 'Metadata' }).getByText('free').waitFor();

  await page.getByRole('button', { name: 'Portal link' }).click();
  await dialog.getByRole('button', { name: 'Create link' }).click();
  await dialog.getByText(/\/portal#token=/).waitFor();
  await page.keyboard.press('Escape');
  await untilFocused(page.getByRole('button', { name: 'Portal link' }));

  await page.getByRole('button', { name: 'Delete' }).click();
  const confirm = dialog.getByRole('button', { name: 'Delete permanently' });
  expect(await confirm.isDisabled()).toBe(true);
  await dialog.getByLabel(/^Type new_one/).fill('new_one');
  await confirm.click();
  await page.getByRole('region', { name: 'Deletion' }).getByText('Erased so far').waitFor();
  await untilCount(page.getByRole('link', { name: 'Open' }), 0);
});

test("the scopes decide an operator's actions", async () => {
  const key = await service.newKey({ accountId: null, scopes: ['accounts:read'] });
  const { page } = await open('/accounts/acme', { key });
  await heading(page, 'Acme').waitFor();
  for (const name of ['Edit', 'Delete', 'Portal link'])
    expect(await page.getByRole('button', { name }).isDisabled(), name).toBe(true);
  await page.goto('/as/acme/webhooks');
  await page.getByText('This call needs a key with the scope webhooks:read.').first().waitFor();
  const mine = await openDashboard(browser, service, '/as/other/webhooks');
  await mine.page.getByText(refusal).waitFor();
  expect(mine.complaints.splice(0)).toHaveLength(1);
  await mine.page.goto('/accounts');
  await mine.page.getByText(refusal).waitFor();
  await untilCount(mine.page.getByRole('link', { name: 'Accounts' }), 0);
});

test.each([
  { colorScheme: 'light', width: 1280 },
  { colorScheme: 'dark', width: 360 },
] as const)('the pages in $colorScheme, $width wide: no barrier, no overflow', async (window) => {
  const { page } = await open('/accounts', window);
  for (const [path, title] of [
    ['/accounts', 'Accounts'],
    ['/accounts?q=nothing', 'Accounts'],
    ['/accounts/acme', 'Acme'],
    ['/accounts/nobody', 'Account'],
    ['/as/acme/webhooks', 'Webhooks'],
  ] as const) {
    await page.goto(path);
    await heading(page, title).waitFor();
    await untilLoaded(page);
    await page.locator('[aria-busy="true"]').waitFor({ state: 'detached' });
    expect([path, await findBarriers(page)]).toEqual([path, []]);
    const width = await page.evaluate<number>('document.scrollingElement.scrollWidth');
    expect([path, width <= window.width]).toEqual([path, true]);
  }
});

test('an operator who signs in again on the pages of an account stays there', async () => {
  const { page, context } = await open('/as/acme/webhooks');
  await page.getByText('Acting for Acme').waitFor();
  await context.clearCookies();
  await page.goto('/as/acme/log');
  await heading(page, 'Sign in').waitFor();
  await page.getByLabel('API key').fill(service.key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText(refusal).waitFor();
  await page.getByLabel('API key').fill(operator);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/as/acme/log');
  await until(
    () => page.getByText('Acting for Acme').isVisible(),
    (isThere) => isThere,
  );
});
