import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { launchBrowser } from '../kit/browser.ts';
import { openDashboard } from '../kit/open-dashboard.ts';
import { parseMetrics, sumOf } from '../kit/read-metrics.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let browser: Browser;
beforeAll(async () => {
  [service, browser] = await Promise.all([startService(), launchBrowser()]);
});
afterAll(() => stopAll(browser, service));

const data = { document_id: 'doc_1', dataset_id: 'ds_1' };
const publishAs = async (key: string) =>
  (await call<{ id: string }>(service.apiUrl, key, 'POST', '/v1/events', { event: 'document.deleted', data }))
    .body.id;
const rowOf = (page: Page, id: string) => page.getByRole('row').filter({ hasText: id });
const streams = async () =>
  sumOf(parseMetrics(await (await fetch(`${service.apiUrl}/metrics`)).text()), 'fltr_streams_open');
const untilStreams = (count: number) => until(streams, (now) => now === count, 20_000);
/** How often the page has read the list. */
const countReads = (page: Page): (() => number) => {
  let reads = 0;
  page.on('request', (request) => {
    if (new URL(request.url()).pathname === '/v1/events') reads += 1;
  });
  return () => reads;
};

test('a page shows new deliveries at once, without polling; not live, it shows nothing new', async () => {
  const { key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/events', { key });
  await untilStreams(1);
  const reads = countReads(page);
  await page.waitForTimeout(5000);
  expect(reads()).toBeLessThanOrEqual(1);
  const publishedAt = performance.now();
  await rowOf(page, await publishAs(key)).waitFor();
  expect(performance.now() - publishedAt).toBeLessThan(1900);

  await page.getByRole('switch', { name: 'Live' }).click();
  const hidden = await publishAs(key);
  const before = reads();
  await page.waitForTimeout(3000);
  expect([reads() - before, await rowOf(page, hidden).count()]).toEqual([0, 0]);
  await page.getByRole('switch', { name: 'Live' }).click();
  await rowOf(page, hidden).waitFor();
});

test('a tab has one stream, on any page, and none after it has signed out', async () => {
  const { key } = await service.newAccount();
  await untilStreams(0);
  const { page } = await openDashboard(browser, service, '/webhooks', { key });
  await untilStreams(1);
  for (const name of ['Events', 'Delivery log'])
    await page.getByRole('link', { name, exact: true }).first().click();
  await page.waitForTimeout(1000);
  expect(await streams()).toBe(1);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await untilStreams(0);
});

test('where there is no stream, a page polls; when there is one again, it uses that', async () => {
  const { key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/events', { key });
  await untilStreams(1);
  await page.getByRole('heading', { level: 1 }).waitFor();
  const end = () =>
    service.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'fltr-webhooks changes' and datname = current_database()`,
    );
  // A proxy that does not let it through.
  await page.route('**/v1/stream', (route) => route.fulfill({ status: 204, body: '' }));
  await end();
  await untilStreams(0);
  const reads = countReads(page);
  await rowOf(page, await publishAs(key)).waitFor();
  await until(reads, (count) => count >= 3, 20_000);
  await page.unroute('**/v1/stream');
  await untilStreams(1);
  await rowOf(page, await publishAs(key)).waitFor();
});
