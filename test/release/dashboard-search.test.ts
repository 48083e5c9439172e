import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { publishOne, waitForStatus } from '../kit/delivery-steps.ts';
import { heading, openDashboard, untilFocused } from '../kit/open-dashboard.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
let ids: Record<'webhook' | 'delivery' | 'attempt' | 'request' | 'operation', string>;
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([startService(), startReceiver(), launchBrowser()]);
  const { webhook_id: webhook } = await service.newWebhook(`${receiver.url}/first`, { external_id: 'acme' });
  const delivery = await publishOne(service, { id: 'evt_first' });
  const { attempts } = await waitForStatus(service, delivery, 'delivered');
  await service.newWebhook(`${receiver.url}/second`, { active: false });
  const data = { document_id: 'doc_same', dataset_id: 'ds_1' };
  const batch = await service.call('POST', '/v1/events/batch', {
    events: ['evt_a', 'evt_b'].map((id) => ({ id, event: 'document.deleted', data })),
  });
  const request = batch.headers.get('x-request-id') ?? '';
  const operation = await service.call<{ id: string }>('POST', '/v1/deliveries/actions', {
    action: 'resend',
    filter: { ids: [delivery] },
    dry_run: true,
  });
  ids = { webhook, delivery, attempt: attempts[0]?.id ?? '', request, operation: operation.body.id };
});
afterAll(() => stopAll(browser, service, receiver));

const field = (page: Page) => page.getByRole('combobox', { name: 'Search' });
const options = (page: Page) => page.getByRole('option');

async function openSearch(page: Page): Promise<void> {
  await page.keyboard.press('/');
  await untilFocused(field(page));
}

test('a pasted id and Enter open its object, from any page', async () => {
  const { page } = await openDashboard(browser, service, '/settings');
  await heading(page, 'Settings').waitFor();
  const receivedId = String(receiver.requests[0]?.headers['x-fltr-delivery']);
  expect(receivedId).toBe(ids.attempt);
  const opened: [text: string, path: string][] = [
    ['evt_first', '/events/evt_first'],
    [ids.delivery, `/log/${ids.delivery}`],
    [`  ${receivedId} `, `/log/${ids.delivery}`],
    [ids.webhook, `/webhooks/${ids.webhook}`],
    ['acme', `/webhooks/${ids.webhook}`],
    [`${receiver.url}/first`, `/webhooks/${ids.webhook}`],
    [ids.operation, `/operations/${ids.operation}`],
  ];
  for (const [text, path] of opened) {
    await openSearch(page);
    await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
    await page.keyboard.press('Control+V');
    // Before the results are there.
    await page.keyboard.press('Enter');
    await page.waitForURL((url) => url.pathname === path);
    await field(page).waitFor({ state: 'detached' });
    await untilFocused(page.getByRole('main'));
  }
});

test('the id of an attempt leads to that attempt, not to the latest one', async () => {
  const { key } = await service.newAccount();
  const inAccount = <T>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  await inAccount('POST', '/v1/webhooks', { url: `${receiver.url}/many`, events: ['*'] });
  const published = await inAccount<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  const delivery = published.body.deliveries[0]?.id ?? '';
  const read = () =>
    inAccount<{ status: string; attempts: { id: string }[] }>('GET', `/v1/deliveries/${delivery}`);
  const untilAttempts = (count: number) =>
    until(read, ({ body }) => body.status === 'delivered' && body.attempts.length === count);
  for (const count of [1, 2, 3, 4]) {
    await untilAttempts(count);
    if (count < 4) await inAccount('POST', `/v1/deliveries/${delivery}/retry?force=true`);
  }
  const first = (await read()).body.attempts[0]?.id ?? '';
  const { page } = await openDashboard(browser, service, '/nowhere/at/all', { key });
  // An unknown path has the navigation and the search.
  await heading(page, 'Page not found').waitFor();
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Events' }).waitFor();
  await openSearch(page);
  await field(page).fill(first);
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/log/${delivery}#attempt-1`);
  const attempt = page.locator('#attempt-1');
  await attempt.waitFor();
  expect(await attempt.getAttribute('open')).not.toBeNull();
  await until(
    () => attempt.boundingBox(),
    (box) => box !== null && box.y >= 0 && box.y < 800,
  );
});

test('results come while one types, by kind, and the arrow keys choose one', async () => {
  const { page } = await openDashboard(browser, service, '/webhooks');
  await heading(page, 'Webhooks').waitFor();
  await openSearch(page);
  await page.keyboard.type(receiver.url.replace('http://', ''));
  await until(
    () => options(page).count(),
    (count) => count === 2,
  );
  const chosen = page.getByRole('option', { selected: true });
  expect(await page.getByRole('group', { name: 'Webhooks' }).getByRole('option').count()).toBe(2);
  await page.getByRole('dialog').getByText('2 results').waitFor();
  expect(await chosen.textContent()).toContain('/second');
  expect(await field(page).getAttribute('aria-activedescendant')).toBe(await chosen.getAttribute('id'));
  const down = async (key: string, text: string) => {
    await page.keyboard.press(key);
    await chosen.filter({ hasText: text }).waitFor();
  };
  await down('ArrowDown', '/first');
  // At the end it begins again.
  await down('ArrowDown', '/second');
  await down('ArrowUp', '/first');
  await page.keyboard.press('Enter');
  await heading(page, /\/first$/).waitFor();

  for (const text of ['doc_same', ids.request]) {
    await openSearch(page);
    await field(page).fill(text);
    // Two have it: Enter alone opens neither before they are shown.
    await page.keyboard.press('Enter');
    await until(
      () => options(page).count(),
      (count) => count === 2,
    );
    expect(await page.getByRole('group', { name: 'Events' }).getByRole('option').count()).toBe(2);
    await options(page).filter({ hasText: 'evt_a' }).click();
    await page.waitForURL('**/events/evt_a');
    await heading(page, 'document.deleted').waitFor();
  }
});

test('Ctrl-K and the box open it, / is typed where text is, Escape gives the focus back', async () => {
  const { page } = await openDashboard(browser, service, '/events');
  await heading(page, 'Events').waitFor();
  const link = page.getByRole('main').getByRole('link', { name: 'Send an event' });
  await link.focus();
  await page.keyboard.press('Control+K');
  await untilFocused(field(page));
  // It does not open twice.
  await page.keyboard.press('Control+K');
  expect(await page.getByRole('dialog').count()).toBe(1);
  await page.keyboard.type('evt_nowhere');
  await page.getByText('No results').waitFor();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  await field(page).waitFor({ state: 'detached' });
  await untilFocused(link);

  const box = page.getByRole('button', { name: 'Search' });
  await box.click();
  await untilFocused(field(page));
  await page.keyboard.press('Escape');
  await untilFocused(box);

  const byId = page
    .getByRole('main')
    .getByRole('searchbox')
    .or(page.getByRole('main').getByRole('textbox'))
    .first();
  await byId.focus();
  await page.keyboard.type('a/b');
  expect(await byId.inputValue()).toBe('a/b');
  expect(await page.getByRole('dialog').count()).toBe(0);
});

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)('in $colorScheme, $width wide: no barrier, nothing cut off', async (window) => {
  const { page } = await openDashboard(browser, service, '/webhooks', window);
  await heading(page, 'Webhooks').waitFor();
  await page.getByRole('button', { name: 'Search' }).click();
  expect(await findBarriers(page)).toEqual([]);
  await field(page).fill('x'.repeat(2048));
  await page.getByText('No results').waitFor();
  expect(await findBarriers(page)).toEqual([]);
  await field(page).fill(receiver.url);
  await until(
    () => options(page).count(),
    (count) => count === 2,
  );
  expect(await findBarriers(page)).toEqual([]);
  const scrollWidth = () => page.evaluate<number>('document.scrollingElement.scrollWidth');
  expect(await scrollWidth()).toBeLessThanOrEqual(window.width);
  const box = await page.getByRole('dialog').boundingBox();
  expect(box && box.x >= 0 && box.x + box.width <= window.width).toBe(true);
});

test('a refused search shows why, and a key that cannot read cannot search', async () => {
  const { page } = await openDashboard(browser, service, '/webhooks');
  await heading(page, 'Webhooks').waitFor();
  await openSearch(page);
  await field(page).fill('evt_\u202Efirst');
  await page
    .getByRole('alert')
    .getByText(/marks that change the direction/)
    .waitFor();
  await field(page).fill('evt_first');
  await options(page).waitFor();

  const key = await service.newKey({ accountId: service.accountId, scopes: ['events:write'] });
  const other = await openDashboard(browser, service, '/webhooks', { key });
  await heading(other.page, 'Webhooks').waitFor();
  expect(await other.page.getByRole('button', { name: 'Search' }).isDisabled()).toBe(true);
  await other.page.keyboard.press('/');
  expect(await other.page.getByRole('dialog').count()).toBe(0);
});

test('it finds nothing of another account', async () => {
  const { key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/webhooks', { key });
  await heading(page, 'Webhooks').waitFor();
  for (const text of ['evt_first', ...Object.values(ids), receiver.url]) {
    await openSearch(page);
    await field(page).fill(text);
    await page.getByText('No results').waitFor();
    expect(await options(page).count()).toBe(0);
    await page.keyboard.press('Escape');
    await field(page).waitFor({ state: 'detached' });
  }
});
