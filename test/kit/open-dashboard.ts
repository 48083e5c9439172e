import type { Browser, Locator, Page, Request } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import { openTab, type Tab } from './browser.ts';
import { until, type Service } from './service.ts';

type Options = { key?: string } & Parameters<typeof openTab>[2];

/** The dashboard in a window of its own, signed in; when the test ends it is closed, and must not have complained. */
export async function openDashboard(
  browser: Browser,
  service: Pick<Service, 'apiUrl' | 'key'>,
  path: string,
  { key = service.key, ...window }: Options = {},
): Promise<Tab> {
  const tab = await openTab(browser, service.apiUrl, window);
  onTestFinished(async () => {
    await tab.context.close();
    expect(tab.complaints).toEqual([]);
  });
  const response = await tab.context.request.post('/session', {
    headers: { 'x-fltr-dashboard': '1' },
    data: { key },
  });
  expect(response.status()).toBe(200);
  watchRequests(tab.page);
  await tab.page.goto(path);
  return tab;
}

type Loading = { open: Set<Request>; lastAt: number };
const loading = new WeakMap<Page, Loading>();

function watchRequests(page: Page): void {
  const state: Loading = { open: new Set(), lastAt: performance.now() };
  loading.set(page, state);
  const seen = (request: Request, change: (request: Request) => void): void => {
    // The stream of changes does not end.
    if (request.url().endsWith('/v1/stream')) return;
    state.lastAt = performance.now();
    change(request);
  };
  page.on('request', (request) => seen(request, (each) => state.open.add(each)));
  for (const name of ['requestfinished', 'requestfailed'] as const)
    page.on(name as 'requestfinished', (request) => seen(request, (each) => state.open.delete(each)));
}

/** Waits until the page has loaded nothing for half a second. */
export const untilLoaded = async (page: Page): Promise<void> => {
  const isIdle = (): boolean => {
    const { open, lastAt } = loading.get(page) ?? { open: new Set(), lastAt: 0 };
    return open.size === 0 && performance.now() - lastAt > 500;
  };
  await until(isIdle, (is) => is, 30_000);
};

export const heading = (page: Page, name: string | RegExp, level = 1) =>
  page.getByRole('heading', { level, name, exact: true });

/** The hint and error of a field: the text that a screen reader reads after its name. */
export async function describedAs(field: Locator): Promise<string> {
  const ids = ((await field.getAttribute('aria-describedby')) ?? '').split(' ').filter(Boolean);
  const parts = ids.map((id) => field.page().locator(`[id="${id}"]`).textContent());
  return (await Promise.all(parts)).join(' ');
}

/** Waits until a field shows why the API refused it. */
export async function untilRefused(field: Locator, words: RegExp): Promise<void> {
  // First: the hint may have the same words.
  await until(
    () => field.getAttribute('aria-invalid'),
    (isInvalid) => isInvalid === 'true',
  );
  await until(
    () => describedAs(field),
    (text) => words.test(text),
  );
}

export const untilFocused = (locator: Locator): Promise<void> =>
  locator.and(locator.page().locator(':focus')).waitFor();

/** Waits until there are so many, neither fewer nor more. */
export const untilCount = (locator: Locator, count: number): Promise<number> =>
  until(
    () => locator.count(),
    (now) => now === count,
  );

export const readClipboard = (page: Page): Promise<string> =>
  page.evaluate<string>('navigator.clipboard.readText()');

/** How far the page is scrolled down, in pixels. */
export const scrolled = (page: Page): Promise<number> => page.evaluate<number>('scrollY');
