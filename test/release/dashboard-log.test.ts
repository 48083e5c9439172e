import { readFileSync } from 'node:fs';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Operation } from '../../src/contracts/operation.ts';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { insertPast } from '../kit/dashboard-data.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { heading, openDashboard, scrolled, untilCount, untilFocused } from '../kit/open-dashboard.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
const broken = new Map<string, number>();
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService(),
    startReceiver(({ path }, response) => response.writeHead(broken.get(path) ?? 200).end()),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service, receiver));

/** An account with one webhook; `publish` returns the id of the delivery. */
async function openAccount(path: string) {
  const { accountId, key } = await service.newAccount();
  const mine: Service = { ...service, accountId, key, call: (...args) => call(service.apiUrl, key, ...args) };
  const { body: webhook } = await mine.call<{ webhook_id: string }>('POST', '/v1/webhooks', {
    url: receiver.url + path,
    events: ['*'],
  });
  const publish = async (id?: string) => {
    const { body } = await mine.call<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
      ...(id === undefined ? {} : { id }),
      event: 'document.deleted',
      data: { document_id: 'doc_abc123', dataset_id: 'ds_xyz789' },
    });
    return body.deliveries[0]?.id ?? '';
  };
  const publishAll = async (count: number, status: Parameters<typeof waitForStatus>[2]) => {
    const ids: string[] = [];
    for (let each = 0; each < count; each += 1) ids.push(await publish());
    for (const id of ids) await waitForStatus(mine, id, status);
    return ids;
  };
  const operations = async () => (await mine.call<{ data: Operation[] }>('GET', '/v1/operations')).body.data;
  return { key, accountId, mine, webhookId: webhook.webhook_id, publish, publishAll, operations };
}

const rowsOf = (page: Page) => page.getByRole('row').filter({ has: page.getByRole('rowheader') });
const bar = (page: Page) => page.getByRole('region', { name: 'Selected deliveries' });
const dialogOf = (page: Page) => page.getByRole('dialog');
const selectLoaded = (page: Page) => page.getByRole('checkbox', { name: 'Select all loaded deliveries' });

test('selected rows are retried by keyboard: counted first, then one operation, which the dialog links to', async () => {
  broken.set('/retry', 404);
  const { key, mine, publishAll, operations } = await openAccount('/retry');
  const ids = await publishAll(3, 'failed');
  broken.delete('/retry');
  const { page } = await openDashboard(browser, service, '/log', { key });
  for (const id of ids.slice(1)) {
    await page.getByRole('checkbox', { name: `Select document.deleted ${id}` }).focus();
    await page.keyboard.press('Space');
  }
  await bar(page).getByText('2 selected').waitFor();
  expect(
    await selectLoaded(page).evaluate((box) => (box as unknown as { indeterminate: boolean }).indeterminate),
  ).toBe(true);
  const cancel = bar(page).getByRole('button', { name: 'Cancel' });
  expect([await cancel.isDisabled(), await cancel.getAttribute('title')]).toEqual([
    true,
    'Only pending, retrying and held deliveries can be canceled.',
  ]);
  await bar(page).getByRole('button', { name: 'Retry' }).focus();
  await page.keyboard.press('Enter');
  await dialogOf(page).getByText('2 deliveries will be attempted now.').waitFor();
  await dialogOf(page).getByText('Takes about 1 s.').waitFor();
  expect(await operations()).toEqual([]);
  expect(await findBarriers(page)).toEqual([]);

  await page.keyboard.press('Escape');
  await dialogOf(page).waitFor({ state: 'detached' });
  await untilFocused(bar(page).getByRole('button', { name: 'Retry' }));
  await page.keyboard.press('Enter');
  const pace = dialogOf(page).getByLabel('Deliveries per second');
  await pace.fill('0');
  const start = dialogOf(page).getByRole('button', { name: 'Retry 2 deliveries' });
  await start.waitFor();
  expect(await start.isDisabled()).toBe(true);
  await pace.fill('10');
  await page.keyboard.press('Enter');
  const link = dialogOf(page).getByRole('link', { name: 'View operation' });
  const href = await link.getAttribute('href');
  for (const id of ids.slice(1)) await waitForStatus(mine, id, 'delivered');
  expect((await mine.call<{ status: string }>('GET', `/v1/deliveries/${ids[0]}`)).body.status).toBe('failed');
  const [operation, ...others] = await operations();
  expect(others).toEqual([]);
  expect(operation).toMatchObject({ action: 'retry', total: 2, per_second: 10 });
  expect(href).toBe(`/operations/${operation?.id}`);

  // Closed, nothing is selected any more, and the focus is in the table.
  await dialogOf(page).getByRole('button', { name: 'Close' }).last().click();
  await bar(page).waitFor({ state: 'detached' });
  await untilFocused(selectLoaded(page));
});

test('everything that matches a filter is canceled, and nothing that was accepted after the selection', async () => {
  broken.set('/cancel', 503);
  const { key, mine, webhookId, publish, publishAll, operations } = await openAccount('/cancel');
  await publishAll(3, 'retrying');
  const { page } = await openDashboard(browser, service, '/log?status=retrying', { key });
  await untilCount(rowsOf(page), 3);
  await page
    .getByRole('checkbox', { name: /^Select document/ })
    .first()
    .check();
  await bar(page).getByRole('button', { name: 'Select all 3 that match' }).click();
  await bar(page).getByText('All 3 that match selected').waitFor();
  expect(await selectLoaded(page).isChecked()).toBe(true);
  const later = await publish();
  await waitForStatus(mine, later, 'retrying');
  await untilCount(rowsOf(page), 4);
  await bar(page).getByRole('button', { name: 'Cancel' }).click();
  await dialogOf(page).getByText('3 deliveries will be canceled.').waitFor();
  await dialogOf(page).getByRole('button', { name: 'Cancel 3 deliveries' }).click();
  await dialogOf(page).getByRole('link', { name: 'View operation' }).waitFor();
  await until(operations, ([operation]) => operation?.status === 'completed' && operation.done === 3);
  expect((await operations())[0]?.filter).toMatchObject({ status: 'retrying' });
  const { body } = await mine.call<{ status: string }>('GET', `/v1/deliveries/${later}`);
  expect(body.status).toBe('retrying');
  // Other filters select nothing.
  await page.goto(`/log?webhook_id=${webhookId}`);
  await selectLoaded(page).check();
  await bar(page).getByText('4 selected').waitFor();
  await page
    .getByRole('navigation', { name: 'Status' })
    .getByRole('link', { name: /^Canceled/ })
    .click();
  await untilCount(rowsOf(page), 3);
  expect(await bar(page).count()).toBe(0);
});

test('selected deliveries are rescheduled, or resent, and deliveries that the action cannot change are left out', async () => {
  broken.set('/later', 503);
  const { key, mine, publishAll, operations } = await openAccount('/later');
  const [waiting = ''] = await publishAll(1, 'retrying');
  broken.delete('/later');
  await publishAll(2, 'delivered');
  const { page } = await openDashboard(browser, service, '/log', { key });
  await untilCount(rowsOf(page), 3);
  await selectLoaded(page).check();
  await bar(page).getByRole('button', { name: 'Reschedule' }).click();
  await dialogOf(page).getByText('The next attempt of 1 delivery will be moved').waitFor();
  await dialogOf(page).getByText('2 deliveries of the selection cannot be changed in this way.').waitFor();
  const at = new Date(Date.now() + 5 * 3_600_000).toISOString().slice(0, 16);
  await dialogOf(page).getByLabel('Next attempt').fill(at);
  await dialogOf(page).getByRole('button', { name: 'Reschedule 1 delivery' }).click();
  await dialogOf(page).getByRole('button', { name: 'Close' }).last().click();
  await until(
    async () => (await mine.call<{ next_attempt_at: string }>('GET', `/v1/deliveries/${waiting}`)).body,
    ({ next_attempt_at: next }) => next.startsWith(at),
  );
  const before = receiver.requests.filter(({ path }) => path === '/later').length;
  await selectLoaded(page).check();
  await bar(page).getByRole('button', { name: 'Resend' }).click();
  await dialogOf(page).getByText('2 deliveries will be sent again').waitFor();
  await dialogOf(page).getByRole('button', { name: 'Resend 2 deliveries' }).click();
  await until(
    () => receiver.requests.filter(({ path }) => path === '/later').length,
    (count) => count === before + 2,
  );
  await until(operations, (all) => all.every(({ status }) => status === 'completed'));
});

test('a row is retried with its button, which says why where it cannot work', async () => {
  broken.set('/row', 404);
  const { key, mine, webhookId, publishAll } = await openAccount('/row');
  const [id = ''] = await publishAll(1, 'failed');
  broken.delete('/row');
  const { page } = await openDashboard(browser, service, '/log', { key });
  const button = rowsOf(page).getByRole('button', { name: 'Retry' });
  await button.click();
  await waitForStatus(mine, id, 'delivered');
  await rowsOf(page).getByRole('cell', { name: 'delivered' }).waitFor();
  expect(new URL(page.url()).pathname).toBe('/log');
  await until(
    () => button.getAttribute('title'),
    (title) => title === 'It was delivered. Open it to resend it.',
  );
  await button.focus();
  await page.keyboard.press('Enter');
  await page.getByText('The delivery was not retried').waitFor();
  expect(receiver.requests.filter(({ path }) => path === '/row')).toHaveLength(2);
  broken.set('/row', 404);
  await publishAll(1, 'failed');
  await mine.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
  await page.reload();
  await until(
    () => button.first().getAttribute('title'),
    (title) => title === 'The webhook is paused. Activate it first.',
  );
  // A key that may only read.
  const { body } = await mine.call<{ key: string }>('POST', '/v1/keys', {
    name: 'reader',
    scopes: ['webhooks:read'],
  });
  const reader = await openDashboard(browser, service, '/log', { key: body.key });
  await until(
    () => rowsOf(reader.page).getByRole('button', { name: 'Retry' }).first().getAttribute('title'),
    (title) => title === 'Your key lacks the scope webhooks:write.',
  );
  await selectLoaded(reader.page).check();
  expect(await bar(reader.page).getByRole('button', { name: 'Retry' }).isDisabled()).toBe(true);
  expect(await bar(reader.page).getByRole('button', { name: 'Export CSV' }).isEnabled()).toBe(true);
});

async function download(page: Page, name: string): Promise<string> {
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    bar(page).getByRole('button', { name }).click(),
  ]);
  return readFileSync(await file.path(), 'utf8');
}

test('an export has each delivery that matches, also those that are not loaded, and no formulas', async () => {
  const { key, accountId, mine, webhookId, publish } = await openAccount('/export');
  await insertPast(service, { accountId, webhookId, count: 1300, failedEvery: 4 });
  // An id that a producer may choose for an event, but that a spreadsheet would compute.
  await waitForStatus(mine, await publish('-1-1'), 'delivered');
  const { page } = await openDashboard(browser, service, '/log', { key });
  await selectLoaded(page).check();
  await bar(page).getByText('50 selected').waitFor();
  expect((await download(page, 'Export NDJSON')).trim().split('\n')).toHaveLength(50);
  await bar(page).getByRole('button', { name: 'Select all 1,301 that match' }).click();
  const [head, first, ...others] = (await download(page, 'Export CSV')).trim().split('\r\n');
  expect(head).toMatch(/^id,event_id,event,webhook_id,webhook_url,status,/);
  expect(first).toContain(`,'-1-1,document.deleted,${webhookId},${receiver.url}/export,delivered,`);
  expect(others).toHaveLength(1300);
  await page
    .getByRole('navigation', { name: 'Status' })
    .getByRole('link', { name: /^Failed 325/ })
    .click();
  await untilCount(page.getByRole('cell', { name: 'delivered', exact: true }), 0);
  await selectLoaded(page).check();
  await bar(page).getByRole('button', { name: 'Select all 325 that match' }).click();
  const lines = (await download(page, 'Export NDJSON')).trim().split('\n');
  expect(lines).toHaveLength(325);
  for (const line of lines)
    expect(JSON.parse(line)).toMatchObject({ status: 'failed', webhook_id: webhookId });
});

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)('the selection in $colorScheme, $width wide: no barrier, no overflow', async (window) => {
  const { key, accountId, webhookId } = await openAccount('/look');
  await insertPast(service, { accountId, webhookId, count: 60, failedEvery: 3 });
  const { page } = await openDashboard(browser, service, '/log?status=failed&error=client_error', {
    key,
    ...window,
  });
  const width = () => page.evaluate<number>('document.scrollingElement.scrollWidth');
  const row = rowsOf(page).first();
  const position = async () => ((await row.boundingBox())?.y ?? 0) + (await scrolled(page));
  const before = await position();
  await page
    .getByRole('checkbox', { name: /^Select document|^Select dataset/ })
    .first()
    .check();
  await bar(page).getByText('1 selected').waitFor();
  // Nothing moves when the bar appears.
  expect(await position()).toBe(before);
  expect(await findBarriers(page)).toEqual([]);
  expect(await width()).toBeLessThanOrEqual(window.width);
  await bar(page).getByRole('button', { name: 'Retry' }).click();
  await dialogOf(page).getByText('1 delivery will be attempted now').waitFor();
  expect(await findBarriers(page)).toEqual([]);
  expect(await width()).toBeLessThanOrEqual(window.width);
  await page.keyboard.press('Escape');
  // The end of the list is not hidden by the bar.
  await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
  const [end, box] = [await page.getByText('20 in total').boundingBox(), await bar(page).boundingBox()];
  expect((end?.y ?? 0) + (end?.height ?? 0)).toBeLessThan(box?.y ?? 0);
});

const panelOf = (page: Page) => page.getByRole('region', { name: 'Delivery details' });
const openId = (page: Page) => new URL(page.url()).searchParams.get('open');

test('a click on a row opens the delivery beside the list; the arrows walk, Enter opens the page, Escape closes', async () => {
  broken.set('/panel', 404);
  const { key, mine, publishAll } = await openAccount('/panel');
  const ids = (await publishAll(3, 'failed')).toReversed();
  const { page } = await openDashboard(browser, service, '/log?status=failed', { key });
  const link = (index: number) => rowsOf(page).nth(index).getByRole('link');
  await untilCount(rowsOf(page), 3);
  const position = async () => (await rowsOf(page).nth(0).boundingBox())?.y ?? 0;
  const before = await position();
  await link(0).click();
  await panelOf(page).getByText('The first attempt failed: 404.').waitFor();
  expect(new URL(page.url()).pathname).toBe('/log');
  expect(openId(page)).toBe(ids[0]);
  await untilFocused(link(0));
  // The row stays under the pointer, though the filters have less room.
  await until(position, (now) => Math.abs(now - before) <= 1);
  await panelOf(page).getByRole('heading', { name: 'Attempt 1' }).waitFor();
  await panelOf(page).getByRole('region', { name: 'Timeline' }).waitFor();

  await page.keyboard.press('ArrowDown');
  await panelOf(page)
    .getByText(ids[1] ?? '', { exact: true })
    .first()
    .waitFor();
  await untilFocused(link(1));
  expect(openId(page)).toBe(ids[1]);
  expect(await rowsOf(page).nth(1).getAttribute('aria-current')).toBe('true');
  await page.keyboard.press('ArrowDown');
  await untilFocused(link(2));
  // At the end of the list, nothing changes.
  await page.keyboard.press('ArrowDown');
  expect(openId(page)).toBe(ids[2]);
  expect(await panelOf(page).getByRole('button', { name: 'Next delivery' }).isDisabled()).toBe(true);
  await page.keyboard.press('ArrowUp');
  await untilFocused(link(1));

  // Into the panel and its actions; when it closes, the focus is on the row.
  await page.keyboard.press('ArrowRight');
  await untilFocused(panelOf(page));
  broken.delete('/panel');
  await panelOf(page).getByRole('button', { name: 'Retry now' }).focus();
  await page.keyboard.press('Enter');
  await panelOf(page).getByRole('region', { name: 'Summary' }).getByText('Delivered: 200').waitFor();
  await waitForStatus(mine, ids[1] ?? '', 'delivered');
  await page.keyboard.press('Escape');
  await panelOf(page).waitFor({ state: 'detached' });
  expect(openId(page)).toBeNull();
  // It was delivered and has left the list of failed ones.
  await untilCount(rowsOf(page), 2);

  await link(0).focus();
  await page.keyboard.press('Space');
  await panelOf(page).waitFor();
  await panelOf(page).getByRole('button', { name: 'Close' }).focus();
  await page.keyboard.press('Enter');
  await panelOf(page).waitFor({ state: 'detached' });
  await untilFocused(link(0));
  await page.keyboard.press('Space');
  await panelOf(page).waitFor();
  // Back closes it, too, and keeps the filter.
  await page.goBack();
  await panelOf(page).waitFor({ state: 'detached' });
  expect(new URL(page.url()).search).toBe('?status=failed');
  await link(0).focus();
  await page.keyboard.press('Space');
  await panelOf(page).waitFor();
  await page.keyboard.press('Enter');
  await heading(page, 'document.deleted').waitFor();
  expect(new URL(page.url()).pathname).toBe(`/log/${ids[0]}`);
});

test('a closed panel leaves no entry in the history: Back leads to the page before the log', async () => {
  broken.set('/history', 404);
  const { key, publishAll } = await openAccount('/history');
  const ids = (await publishAll(2, 'failed')).toReversed();
  const { page } = await openDashboard(browser, service, '/events', { key });
  await page.getByRole('link', { name: 'Delivery log' }).click();
  await untilCount(rowsOf(page), 2);
  for (const way of ['Escape', 'Space', 'Close', 'walk'] as const) {
    await rowsOf(page).nth(0).getByRole('link').click();
    await panelOf(page).waitFor();
    if (way === 'walk') {
      await page.keyboard.press('ArrowDown');
      await until(
        () => Promise.resolve(openId(page)),
        (id) => id === ids[1],
      );
    }
    if (way === 'Close') await panelOf(page).getByRole('button', { name: 'Close' }).click();
    else await page.keyboard.press(way === 'walk' ? 'Escape' : way);
    await panelOf(page).waitFor({ state: 'detached' });
    await untilFocused(
      rowsOf(page)
        .nth(way === 'walk' ? 1 : 0)
        .getByRole('link'),
    );
  }
  await page.goBack();
  await heading(page, 'Events').waitFor();
  // From an address with a panel, such as a shared one, it closes on the log.
  await page.goto(`${new URL(page.url()).origin}/log?open=${ids[0]}`);
  await panelOf(page).getByRole('button', { name: 'Close' }).click();
  await panelOf(page).waitFor({ state: 'detached' });
  expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe('/log');
  await page.goBack();
  await heading(page, 'Events').waitFor();
});

test.each([
  { colorScheme: 'light', width: 1280 },
  { colorScheme: 'dark', width: 900 },
] as const)(
  'the panel in $colorScheme, $width wide: no barrier, no overflow, nothing hidden',
  async (window) => {
    broken.set('/panels', 503);
    const { key, publishAll } = await openAccount('/panels');
    const [id = ''] = await publishAll(1, 'retrying');
    const { page } = await openDashboard(browser, service, `/log?open=${id}`, { key, ...window });
    await panelOf(page)
      .getByText(/The first attempt failed: 503/)
      .waitFor();
    await panelOf(page).getByRole('region', { name: 'Timeline' }).waitFor();
    expect(await findBarriers(page)).toEqual([]);
    expect(await page.evaluate<number>('document.scrollingElement.scrollWidth')).toBeLessThanOrEqual(
      window.width,
    );
    const right = async (locator: Locator) => {
      const box = await locator.boundingBox();
      return (box?.x ?? 0) + (box?.width ?? 0);
    };
    const left = (await panelOf(page).boundingBox())?.x ?? 0;
    for (const each of [
      page.getByRole('table'),
      page.getByRole('form', { name: 'Log filters' }),
      page.getByRole('switch', { name: 'Live' }),
    ])
      expect(await right(each)).toBeLessThanOrEqual(left);
    await rowsOf(page).getByRole('checkbox').check();
    expect(await right(bar(page))).toBeLessThanOrEqual(left);
    expect(await findBarriers(page)).toEqual([]);
  },
);

test('on a narrow screen, a row and the address of a panel open the page', async () => {
  const { key, publishAll } = await openAccount('/narrow');
  const [id = ''] = await publishAll(1, 'delivered');
  const { page } = await openDashboard(browser, service, `/log?open=${id}`, { key, width: 360 });
  await heading(page, 'document.deleted').waitFor();
  expect(new URL(page.url()).pathname).toBe(`/log/${id}`);
  await page.goto('/log');
  await rowsOf(page).getByRole('link').click();
  await heading(page, 'document.deleted').waitFor();
  expect(new URL(page.url()).pathname).toBe(`/log/${id}`);
});

test('the open delivery need not be in the list, and may not exist', async () => {
  const { key, publishAll } = await openAccount('/absent');
  const [id = ''] = await publishAll(1, 'delivered');
  const { page } = await openDashboard(browser, service, `/log?status=failed&open=${id}`, { key });
  await panelOf(page).getByText('Delivered: 200').waitFor();
  const next = panelOf(page).getByRole('button', { name: 'Next delivery' });
  expect(await next.isDisabled()).toBe(true);
  const { key: stranger } = await service.newAccount();
  const other = await openDashboard(browser, service, `/log?open=${id}`, { key: stranger });
  await panelOf(other.page).getByText('Delivery not found.').waitFor();
});
