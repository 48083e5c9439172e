import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Browser } from 'playwright-core';
import { findBarriers, launchBrowser, openTab, type Tab } from '../kit/browser.ts';
import { startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let browser: Browser;
let tab: Tab;
beforeAll(async () => {
  [service, browser] = await Promise.all([startService(), launchBrowser()]);
});
afterAll(() => stopAll(browser, service));
beforeEach(async () => {
  tab = await openTab(browser, service.apiUrl);
});
afterEach(async () => {
  await tab.context.close();
  expect(tab.complaints).toEqual([]);
});

const heading = (name: string) => tab.page.getByRole('heading', { level: 1, name });

async function signIn(key = service.key): Promise<void> {
  await tab.page.getByLabel('API key').fill(key);
  await tab.page.getByRole('button', { name: 'Sign in' }).click();
}

test('without a session every page leads to the sign-in page, and from there to where the user was going', async () => {
  await tab.page.goto('/log?status=failed');
  await heading('Sign in').waitFor();
  expect(await findBarriers(tab.page)).toEqual([]);
  await signIn();
  await heading('Delivery log').waitFor();
  expect(new URL(tab.page.url()).search).toBe('?status=failed');
});

test('the only field of the page has the focus', async () => {
  await tab.page.goto('/sign-in');
  await tab.page.getByLabel('API key').and(tab.page.locator(':focus')).waitFor();
});

test('the sign-in page shows that a key is wrong, with the remedy, and then accepts the right one', async () => {
  await tab.page.goto('/');
  await signIn('fltr_wrong');
  await tab.page.getByRole('alert').getByText('This API key is unknown').waitFor();
  expect(await findBarriers(tab.page)).toEqual([]);
  await signIn();
  await heading('Webhooks').waitFor();
});

test('the key is neither in the page nor in the browser’s stores, and no script can read the cookie', async () => {
  await tab.page.goto('/');
  await signIn();
  await heading('Webhooks').waitFor();
  const seen = await tab.page.evaluate<string>(
    'JSON.stringify([document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }, document.cookie])',
  );
  expect(seen).not.toContain(service.key);
  expect(await tab.page.evaluate('document.cookie')).toBe('');
  const [cookie] = await tab.context.cookies();
  expect(cookie).toMatchObject({ name: 'fltr_session', httpOnly: true, sameSite: 'Strict' });
  expect(cookie?.value).not.toContain(service.key);
});

test('the link that npm start prints signs in once, and leaves no trace in the address', async () => {
  await tab.page.goto(service.signInUrl ?? '');
  await heading('Webhooks').waitFor();
  expect(tab.page.url()).not.toContain('token');
  await tab.page.goBack();
  expect(tab.page.url()).not.toContain('token');
  const other = await openTab(browser, service.apiUrl);
  await other.page.goto(service.signInUrl ?? '');
  await other.page.getByRole('alert').waitFor();
  await other.page.getByLabel('API key').waitFor();
  await other.context.close();
});

test('after signing out nothing is shown, also not by the back button', async () => {
  await tab.page.goto('/');
  await signIn();
  await heading('Webhooks').waitFor();
  await tab.page.getByRole('button', { name: 'Sign out' }).click();
  await heading('Sign in').waitFor();
  await tab.page.goto('/webhooks');
  await heading('Sign in').waitFor();
});

test('a key that is revoked ends its sessions', async () => {
  const key = await service.newKey({ accountId: service.accountId });
  await tab.page.goto('/settings');
  await signIn(key);
  await heading('Settings').waitFor();
  await service.pool.query(`update api_keys set revoked_at = now() where name = 'test' and account_id = $1`, [
    service.accountId,
  ]);
  await tab.page.reload();
  await heading('Sign in').waitFor();
});

test('a session that ends while a form is open: the form shows it, and works again after signing in elsewhere', async () => {
  const { page, context } = tab;
  await page.goto('/webhooks/new');
  await signIn(await service.newKey({ accountId: service.accountId }));
  await page.getByLabel('URL', { exact: true }).fill('http://localhost:1/draft');
  await page.getByRole('checkbox', { name: '*', exact: true }).check();
  const cookies = await context.cookies();
  await context.clearCookies();
  await page.getByRole('button', { name: 'Create' }).click();
  const alert = page.getByRole('alert');
  await alert.getByText('Your session has ended.').waitFor();
  expect(await alert.textContent()).not.toMatch(/Authorization|header/);
  const link = alert.getByRole('link', { name: 'Sign in again' });
  expect([await link.getAttribute('href'), await link.getAttribute('target')]).toEqual([
    '/sign-in',
    '_blank',
  ]);
  expect(await findBarriers(page)).toEqual([]);
  await context.addCookies(cookies);
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { level: 1, name: /\/draft$/ }).waitFor();
});

test('an address of another host is not where one comes to', async () => {
  for (const next of ['//example.com/a', '/\\example.com', 'https://example.com']) {
    await tab.page.goto(`/sign-in?next=${encodeURIComponent(next)}`);
    await signIn(await service.newKey({ accountId: service.accountId }));
    await heading('Webhooks').waitFor();
    expect(new URL(tab.page.url()).host).toBe(new URL(service.apiUrl).host);
    await tab.page.getByRole('button', { name: 'Sign out' }).click();
    await heading('Sign in').waitFor();
  }
});

test('the theme is the system’s until one is chosen, and the choice is kept', async () => {
  const dark = await openTab(browser, service.apiUrl, { colorScheme: 'dark' });
  const background = () => dark.page.evaluate('getComputedStyle(document.body).backgroundColor');
  await dark.page.goto('/sign-in');
  const inDark = await background();
  await dark.page.getByLabel('API key').fill(await service.newKey({ accountId: service.accountId }));
  await dark.page.getByRole('button', { name: 'Sign in' }).click();
  await dark.page.getByRole('button', { name: 'Light' }).click();
  const inLight = await background();
  expect(inLight).not.toBe(inDark);
  await dark.page.reload();
  expect(await background()).toBe(inLight);
  await dark.page.getByRole('button', { name: 'Dark' }).click();
  expect(await background()).toBe(inDark);
  await dark.context.close();
});
