import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { packageRoot } from '../../src/package-root.ts';
import { launchBrowser, openTab } from '../kit/browser.ts';
import { insertPast } from '../kit/dashboard-data.ts';
import { openDashboard } from '../kit/open-dashboard.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

// Prints the figures of docs/performance.md, section Dashboard. No test asserts a time.

vi.setConfig({ testTimeout: 180_000 });

let service: Service;
let browser: Browser;
beforeAll(async () => {
  [service, browser] = await Promise.all([startService(), launchBrowser()]);
  for (let number = 1; number <= 10; number += 1) {
    const { webhook_id: webhookId } = await service.newWebhook(`http://localhost:9/${number}`, {
      events: ['document.*'],
    });
    await insertPast(service, { accountId: service.accountId, webhookId, count: 500, failedEvery: 3 });
  }
}, 120_000);
afterAll(() => stopAll(browser, service));

const rowsOf = (page: Page) => page.getByRole('row').filter({ has: page.getByRole('rowheader') });
const panelOf = (page: Page) => page.getByRole('region', { name: 'Delivery details' });
const median = (values: number[]) =>
  Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);
const print = (line: string) => process.stdout.write(`${line}\n`);

test('the size of the scripts and styles, and of the files that a browser loads with gzip', () => {
  const folder = join(packageRoot, 'dist/dashboard/assets');
  for (const ending of ['.js', '.css']) {
    const files = readdirSync(folder).filter((name) => name.endsWith(ending));
    const contents = files.map((name) => readFileSync(join(folder, name)));
    const sum = (sizes: number[]) => sizes.reduce((total, size) => total + size, 0);
    const bytes = sum(contents.map(({ length }) => length));
    const gzipped = sum(contents.map((content) => gzipSync(content, { level: 9 }).length));
    expect(gzipped).toBeGreaterThan(1000);
    print(`${ending}: ${bytes} bytes in ${files.length} files, ${gzipped} with gzip`);
  }
});

/** Milliseconds after the start of the navigation. `rows`: when the first row of a table was on the screen. */
type Painted = { first: number; rows: number };
const watchRows = `{
  const look = () => document.querySelector('tbody tr th')
    ? requestAnimationFrame(() => setTimeout(() => { window.rowsPaintedAt = performance.now(); }))
    : requestAnimationFrame(look);
  look();
}`;

/** Opens a page in windows without a cache, each signed in, one after the other. */
async function paint(path: string): Promise<Painted[]> {
  const painted: Painted[] = [];
  for (let time = 0; time < 7; time += 1) {
    const { page, context } = await openTab(browser, service.apiUrl);
    const headers = { 'x-fltr-dashboard': '1' };
    await context.request.post('/session', { headers, data: { key: service.key } });
    await page.addInitScript(watchRows);
    await page.goto(path);
    await until(
      () => page.evaluate<number | null>('window.rowsPaintedAt ?? null'),
      (at) => at !== null,
    );
    painted.push(
      await page.evaluate<Painted>(`({
        first: performance.getEntriesByName('first-contentful-paint')[0].startTime,
        rows: window.rowsPaintedAt,
      })`),
    );
    await context.close();
  }
  return painted;
}

test.each([
  ['overview, 10 webhooks', '/webhooks'],
  ['log, 5,000 deliveries', '/log'],
])('the first paint of the %s', async (name, path) => {
  const painted = await paint(path);
  for (const { first, rows } of painted) expect([first > 0, rows >= first]).toEqual([true, true]);
  print(
    `${name}: first contentful paint ${median(painted.map(({ first }) => first))} ms, with rows ${median(painted.map(({ rows }) => rows))} ms`,
  );
});

/** Of the page: starts something, and waits until a condition holds and was painted. Milliseconds. */
const timed = (start: string, isDone: string) => `new Promise((resolve) => {
  const from = performance.now();
  ${start};
  const look = () => (${isDone})
    ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - from)))
    : setTimeout(look);
  look();
})`;

test('with 5,000 loaded rows, the panel follows an arrow key, and all rows are selected', async () => {
  const { page } = await openDashboard(browser, service, '/log');
  const end = page.getByText('5000 in total');
  await until(
    async () => {
      await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
      return end.isVisible();
    },
    (isThere) => isThere,
    100_000,
  );
  await page.evaluate('scrollTo(0, 0)');
  await rowsOf(page).first().getByRole('link').click();
  await panelOf(page).getByRole('region', { name: 'Timeline' }).waitFor();
  const steps: number[] = [];
  for (let step = 0; step < 20; step += 1) {
    const next = `document.querySelector('tr[aria-current]').nextElementSibling.dataset.key`;
    const id = await page.evaluate<string>(next);
    const press = `document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }))`;
    const isShown = `document.querySelector('.panel-id code').textContent === '${id}'`;
    steps.push(await page.evaluate<number>(timed(press, isShown)));
  }
  const clicks: number[] = [];
  for (let click = 0; click < 10; click += 1) {
    const isShown = `(document.querySelector('.selection-bar') !== null) === ${click % 2 === 0}`;
    clicks.push(
      await page.evaluate<number>(timed(`document.getElementById('select-all-rows').click()`, isShown)),
    );
  }
  expect([steps.length, clicks.length]).toEqual([20, 10]);
  // Closed, the panel leaves the list where the walk has led.
  const last = rowsOf(page).and(page.locator('[aria-current]')).getByRole('link');
  await last.focus();
  await page.keyboard.press('Escape');
  await panelOf(page).waitFor({ state: 'detached' });
  const focused = page.locator('.row-link:focus');
  await until(
    async () => (await focused.boundingBox())?.y ?? -1,
    (y) => y > 0 && y < 800,
  );
  print(`5,000 loaded rows: from an arrow key to the next delivery in the panel ${median(steps)} ms`);
  print(`5,000 loaded rows: from "select all" to the selection on the screen ${median(clicks)} ms`);
});
