import { mkdirSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { insertPast } from '../kit/dashboard-data.ts';
import { heading, openDashboard, untilCount, untilFocused } from '../kit/open-dashboard.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    // The webhook that is down would be disabled.
    startService({ FLTR_AUTO_DISABLE_EVERY_SECONDS: '86400' }),
    startReceiver((_request, response) => response.writeHead(200).end()),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service, receiver));

const windows = [
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const;

async function newAccount() {
  const { accountId, key } = await service.newAccount();
  const newWebhook = async (path: string) => {
    const body = { url: receiver.url + path, events: ['*'] };
    return (await call<{ webhook_id: string }>(service.apiUrl, key, 'POST', '/v1/webhooks', body)).body
      .webhook_id;
  };
  return { accountId, key, newWebhook };
}

/** An account with webhooks in each state, the healthy one last created. The first of 24 buckets began 23 hours ago, or a little more. */
async function newIncident() {
  const account = await newAccount();
  const { accountId, newWebhook } = account;
  const ids = {
    down: await newWebhook('/down'),
    failing: await newWebhook('/failing'),
    disabled: await newWebhook('/disabled'),
    paused: await newWebhook('/paused'),
    healthy: await newWebhook('/healthy'),
  };
  const past = (webhookId: string, count: number, failedEvery = 0, minutes = 22 * 60) =>
    insertPast(service, { accountId, webhookId, count, failedEvery, minutes });
  await past(ids.healthy, 48);
  // Within the last hour, by which its health is judged.
  await past(ids.failing, 40, 4, 50);
  await past(ids.down, 30, 1);
  const { pool } = service;
  const change = (id: string, set: string) => pool.query(`update webhooks set ${set} where id = $1`, [id]);
  await change(ids.down, `health_state = 'down', health_since = now() - interval '20 minutes'`);
  await change(ids.failing, `health_state = 'failing', health_since = now()`);
  await change(ids.paused, `active = false`);
  await change(
    ids.disabled,
    `active = false, disabled_at = now(), disabled_reason = 'down', disabled_ended = 12, disabled_failed = 12`,
  );
  // Half of the failed attempts of the webhook that is down were retried.
  await pool.query(
    `update webhook_stats set failed = 0 where webhook_id = $1 and minute < now() - interval '12 hours'`,
    [ids.down],
  );
  const wait = (webhookId: string, set: string, count: number) =>
    pool.query(
      `update deliveries set ended_at = null, reason = null, ${set}
       where id in (select id from deliveries where webhook_id = $1 and status = 'failed' limit $2)`,
      [webhookId, count],
    );
  const retrying = `status = 'retrying', next_attempt_at = now() + interval '1 hour', wait_reason = 'retry', owner_id = id, reconcile_at = now() + interval '2 hours'`;
  await wait(ids.down, retrying, 7);
  const pending = retrying.replace(`'retrying'`, `'pending'`);
  await wait(ids.down, pending.replace(`'retry'`, `'hourly_cap'`), 3);
  await wait(ids.down, pending.replace(`'retry'`, `'rescheduled'`), 2);
  await wait(
    ids.down,
    `status = 'pending', start_after = 'deliver_at', deliver_at = now() + interval '1 day'`,
    1,
  );
  await wait(ids.failing, `status = 'held', held_until = now() + interval '1 hour', reconcile_at = now()`, 2);
  return { ...account, ids };
}

const rowLinks = (page: Page) => page.getByRole('rowheader').getByRole('link');
const shot = async (page: Page, name: string) => {
  const folder = process.env['FLTR_SHOTS'];
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
};

test.each(windows)(
  'the list has the most urgent webhooks first, counts them, and filters them, $width wide',
  async (window) => {
    const { key, ids } = await newIncident();
    const { page } = await openDashboard(browser, service, '/webhooks', { key, ...window });
    await untilCount(rowLinks(page), 5);
    const hrefs = await rowLinks(page).evaluateAll((links) => links.map((link) => link.getAttribute('href')));
    expect(hrefs).toEqual(
      [ids.down, ids.disabled, ids.failing, ids.paused, ids.healthy].map((id) => `/webhooks/${id}`),
    );
    const states = page.getByRole('navigation', { name: 'Webhooks by state' });
    const texts = await states.getByRole('link').allTextContents();
    expect(texts).toEqual(['1 down', '1 disabled', '1 failing', '1 paused', '1 healthy']);
    await page.getByText('15 deliveries waiting:').waitFor();
    await shot(page, `list-${window.width}`);

    const row = (path: string) => page.getByRole('row').filter({ hasText: path });
    if (window.width > 720) await row('/down').getByRole('link', { name: '3 deferred' }).waitFor();
    const classOf = (path: string, text: string) =>
      row(path).getByText(text, { exact: true }).getAttribute('class');
    expect(await classOf('/down', '100%')).toBe('bad');
    expect(await classOf('/failing', '25%')).toBe('warn');
    expect(await classOf('/healthy', '0%')).toBeNull();

    await states.getByRole('link', { name: '1 failing' }).press('Enter');
    await untilCount(rowLinks(page), 1);
    expect(page.url()).toMatch(/\/webhooks\?state=failing$/);
    expect(await findBarriers(page)).toEqual([]);
    await page.reload();
    await untilCount(rowLinks(page), 1);
    await page.goBack();
    await untilCount(rowLinks(page), 5);
  },
);

test.each(windows)(
  'each number of waiting deliveries is the number of rows in the list that it opens, $width wide',
  async (window) => {
    const { key, ids } = await newIncident();
    const { page } = await openDashboard(browser, service, '/webhooks', { key, ...window });
    const ofAll = page.getByText('15 deliveries waiting:').locator('..');
    await ofAll.waitFor();
    expect(await ofAll.locator('.waiting').textContent()).toBe(
      '7 retrying6 pending (3 deferred, 1 scheduled)2 held',
    );
    const ofWebhook = page.getByRole('term').filter({ hasText: 'Waiting' }).locator('..');
    for (const { path, numbers, links } of [
      {
        path: '/webhooks',
        numbers: ofAll,
        links: ['7 retrying', '6 pending', '3 deferred', '1 scheduled', '2 held'],
      },
      {
        path: `/webhooks/${ids.down}`,
        numbers: ofWebhook,
        links: ['7 retrying', '6 pending', '3 deferred', '1 scheduled'],
      },
      { path: `/webhooks/${ids.failing}`, numbers: ofWebhook, links: ['2 held'] },
    ]) {
      await page.goto(path);
      await untilCount(numbers.getByRole('link'), links.length);
      expect(await numbers.getByRole('link').allTextContents()).toEqual(links);
      for (const link of links) {
        await numbers.getByRole('link', { name: link }).press('Enter');
        await heading(page, 'Delivery log').waitFor();
        await untilCount(page.getByRole('rowheader'), Number.parseInt(link, 10));
        if (link.endsWith('deferred'))
          await page.getByRole('link', { name: 'Remove filter Only: deferred' }).waitFor();
        await page.goBack();
        await numbers.waitFor();
      }
    }
  },
);

test.each(windows)(
  'charts: range, hover, arrow keys, the log of a bar, the table behind it, $width wide',
  async (window) => {
    const { key, ids } = await newIncident();
    const { page } = await openDashboard(browser, service, '/webhooks', { key, ...window });
    const section = page.getByRole('region', { name: 'All webhooks' });
    const bars = section.getByRole('toolbar').getByRole('link');
    await untilCount(bars, 24);
    const range = section.getByRole('navigation', { name: 'Time range' });
    expect(await range.locator('[aria-current]').allTextContents()).toEqual(['24 h']);
    const tableOf = async (region: typeof section) => {
      const cells = await region.getByRole('table').first().locator('tbody td').allTextContents();
      return ['delivered', 'retried', 'failed'].map((_name, series) =>
        cells.reduce((sum, text, index) => sum + (index % 3 === series ? Number(text) : 0), 0),
      );
    };
    const [delivered = 0, retried = 0, failed = 0] = await tableOf(section);
    expect(delivered).toBeGreaterThan(60);
    expect(retried).toBeGreaterThan(5);
    expect(failed).toBeGreaterThan(15);

    // Hover: the numbers of that hour.
    await bars.nth(20).hover();
    const details = section.locator('.chart-details');
    for (const name of ['delivered', 'retried', 'failed'])
      await details.getByText(name, { exact: true }).waitFor();
    const label = (await bars.nth(20).getAttribute('aria-label')) ?? '';
    expect(label).toMatch(/^\w+.* \d\d:00 to \d\d:00: \d+ delivered, \d+ retried, \d+ failed$/);
    expect(await details.locator('strong').textContent()).toBe(label.slice(0, label.lastIndexOf(': ')));
    await shot(page, `hover-${window.width}`);
    await page.mouse.move(0, 0);
    await details.waitFor({ state: 'detached' });

    // By keyboard: one stop of Tab, arrow keys between the bars, Escape hides the numbers.
    await range.getByRole('link', { name: '30 d' }).focus();
    await page.keyboard.press('Tab');
    await untilFocused(bars.nth(23));
    await page.keyboard.press('ArrowLeft');
    await untilFocused(bars.nth(22));
    await details.waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await details.waitFor({ state: 'detached' });
    await page.keyboard.press('Home');
    await untilFocused(bars.nth(0));
    await page.keyboard.press('End');
    await untilFocused(bars.nth(23));
    await page.keyboard.press('ArrowRight');
    await untilFocused(bars.nth(23));
    await page.keyboard.press('ArrowLeft');
    const hour = (await section.getByRole('table').locator('tbody th').nth(22).textContent()) ?? '';
    await page.keyboard.press('Enter');
    await heading(page, 'Delivery log').waitFor();
    const { searchParams } = new URL(page.url());
    const [since, until_] = ['since', 'until'].map((name) => Date.parse(searchParams.get(name) ?? ''));
    expect((until_ ?? 0) - (since ?? 0)).toBe(3_600_000);
    expect(hour).toContain(new Date(since ?? 0).toISOString().slice(11, 16));

    // The range is in the URL, and Back undoes it.
    await page.goto(`/webhooks/${ids.down}`);
    const overview = page.getByRole('region', { name: 'Overview' });
    const attempts = overview.getByRole('toolbar', { name: /^Attempts/ }).getByRole('link');
    await untilCount(attempts, 24);
    for (const [name, count, text] of [
      ['30 d', 30, '30d'],
      ['7 d', 28, '7d'],
      ['1 h', 60, '1h'],
    ] as const) {
      await overview.getByRole('link', { name, exact: true }).click();
      await untilCount(attempts, count);
      expect(new URL(page.url()).search).toBe(`?range=${text}`);
      await shot(page, `webhook-${text}-${window.width}`);
    }
    await page.reload();
    await untilCount(attempts, 60);
    await page.goBack();
    await untilCount(attempts, 28);
    const first = await attempts.first().getAttribute('href');
    expect(first).toContain(`webhook_id=${ids.down}`);
    await attempts.first().click();
    await heading(page, 'Delivery log').waitFor();
  },
);

test('the list is not cut off at any width', async () => {
  const { key } = await newIncident();
  const { page } = await openDashboard(browser, service, '/webhooks', { key });
  await untilCount(rowLinks(page), 5);
  const table = page.locator('.table-wrap');
  for (const width of [360, 480, 720, 721, 768, 771, 860, 861, 1024, 1040, 1041, 1220, 1221, 1280, 1920]) {
    await page.setViewportSize({ width, height: 900 });
    const [inner, outer] = await table.evaluate((each) => [each.scrollWidth, each.clientWidth] as const);
    expect([width, inner]).toEqual([width, outer]);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  const down = page.getByRole('row').filter({ hasText: '/down' });
  await down.getByText('100% failed').waitFor();
  await down.getByText('13 waiting').waitFor();
});

test('the tiles add up, lead to the log, and leave no hole at any width', async () => {
  const { key, ids } = await newIncident();
  const { page } = await openDashboard(browser, service, `/webhooks/${ids.down}`, { key });
  const tiles = page.locator('.tile');
  const tile = (name: string) => tiles.filter({ has: page.getByText(name, { exact: true }) });
  await tile('Waiting').getByText('13', { exact: true }).waitFor();
  await tile('Failure rate').getByText('100%').waitFor();
  await tile('Failure rate').getByText('30 of 30 attempts failed').waitFor();
  for (const width of [360, 480, 720, 768, 1024, 1280, 1920]) {
    await page.setViewportSize({ width, height: 900 });
    const rows = await tiles.evaluateAll((all) => {
      const lefts = all.map((each) => Math.round(each.getBoundingClientRect().top));
      return lefts.map((top) => lefts.filter((other) => other === top).length);
    });
    expect([width, rows]).toEqual([width, Array<number>(6).fill(rows[0] ?? 0)]);
    const scrolled = await page.evaluate<number>('document.scrollingElement.scrollWidth');
    expect(scrolled).toBeLessThanOrEqual(width);
  }
  await tile('Failed').getByRole('link').click();
  await heading(page, 'Delivery log').waitFor();
  expect(new URL(page.url()).searchParams.get('status')).toBe('failed');
});

test.each(windows)(
  'a webhook without deliveries begins with a test event, and has numbers from its first delivery on, $width wide',
  async (window) => {
    const { key, newWebhook } = await newAccount();
    const id = await newWebhook('/new');
    const { page } = await openDashboard(browser, service, `/webhooks/${id}`, { key, ...window });
    const headings = page.getByRole('heading', { level: 2 });
    await headings.first().waitFor();
    expect(await headings.first().textContent()).toBe('Send a test event');
    expect(await page.locator('.tile, .chart').count()).toBe(0);
    await shot(page, `empty-${window.width}`);
    expect(await findBarriers(page)).toEqual([]);
    const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
    await call(service.apiUrl, key, 'POST', '/v1/events', event);
    await until(
      () => headings.first().textContent(),
      (text) => text === 'Overview',
    );
    await page.getByRole('toolbar', { name: /^Attempts/ }).waitFor();
    expect(await page.getByRole('heading', { name: 'Send a test event' }).count()).toBe(1);
  },
);

test('a read-only key sees the same numbers; another account sees none of them', async () => {
  const { key, ids } = await newIncident();
  const other = await newAccount();
  const quiet = await other.newWebhook('/other');
  // Three days ago.
  await insertPast(service, { ...other, webhookId: quiet, count: 1, minutes: 6 * 24 * 60 });
  const { body } = await call<{ key: string }>(service.apiUrl, key, 'POST', '/v1/keys', {
    name: 'Reader',
    scopes: ['webhooks:read'],
  });
  const { page } = await openDashboard(browser, service, '/webhooks', { key: body.key });
  await page.getByText('15 deliveries waiting:').waitFor();
  const { page: foreign } = await openDashboard(browser, service, '/webhooks', { key: other.key });
  await foreign.getByText('No deliveries waiting').waitFor();
  await foreign.getByText('No attempts in the last 24 hours.').waitFor();
  await foreign.getByRole('link', { name: '7 d', exact: true }).click();
  const bars = foreign.getByRole('toolbar').getByRole('link');
  await untilCount(bars, 28);
  expect(await bars.and(foreign.getByLabel(': 1 delivered, 0 retried, 0 failed')).count()).toBe(1);
  const path = `/v1/webhooks/${ids.down}/stats?range=24h`;
  expect((await call(service.apiUrl, other.key, 'GET', path)).status).toBe(404);
});
