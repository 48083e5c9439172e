import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Frame, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { packageRoot } from '../../src/package-root.ts';
import { findBarriers, launchBrowser, openTab } from '../kit/browser.ts';
import { onlyBlock } from '../kit/guides.ts';
import { heading } from '../kit/open-dashboard.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

/** examples/portal: a site whose page shows the portal in a frame. */
type Site = { url: string; stop(): Promise<void> };

const productName = 'Acme <Events> & Co';
const logo = 'data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=';
let service: Service;
let receiver: Receiver;
let browser: Browser;
/** Of another site than the service, and of the same: cookies do not distinguish ports. */
let site: Site;
let sameSite: Site;
beforeAll(async () => {
  const [port, samePort] = [await reservePort(), await reservePort()];
  const ancestors = [port, samePort].map((each) => `http://localhost:${each}`);
  [service, receiver, browser] = await Promise.all([
    startService({
      FLTR_PRODUCT_NAME: productName,
      FLTR_LOGO_URL: logo,
      FLTR_PORTAL_FRAME_ANCESTORS: ancestors.join(','),
    }),
    startReceiver(),
    launchBrowser(),
  ]);
  site = await startSite(port, service.apiUrl);
  sameSite = await startSite(samePort, localUrl());
});
afterAll(() => stopAll(site, sameSite, browser, service, receiver));

/** The service on the host name of the site. */
const localUrl = () => service.apiUrl.replace('127.0.0.1', 'localhost');

async function startSite(port: number, apiUrl: string): Promise<Site> {
  const child: ChildProcess = spawn(process.execPath, ['server.mjs'], {
    cwd: join(packageRoot, 'examples/portal'),
    env: { PATH: process.env['PATH'], PORT: String(port), FLTR_API_URL: apiUrl, FLTR_API_KEY: service.key },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer];
  expect(line.toString()).toBe(`Open http://localhost:${port}\n`);
  return {
    url: `http://localhost:${port}`,
    async stop() {
      child.kill();
      await once(child, 'exit');
    },
  };
}

/** A window of its own that is closed when the test ends; its complaints, without the requests of the frame. */
async function openWindow(url: string) {
  const { page, context, complaints } = await openTab(browser, url);
  onTestFinished(() => context.close());
  const own = () => complaints.filter((complaint) => !complaint.startsWith('another host: '));
  return { page, context, complaints: own };
}

/** The site's page with the open portal in its frame. */
async function openSite(of: Site) {
  const window = await openWindow(of.url);
  const { page } = window;
  await page.goto('/');
  const frame = page.frameLocator('iframe');
  await frame.getByRole('heading', { level: 1, name: 'Webhooks' }).waitFor();
  return { ...window, frame, inner: innerFrame(page) };
}

function innerFrame(page: Page): Frame {
  const [, inner] = page.frames();
  if (!inner) throw new Error('The page has no frame');
  return inner;
}

type Link = { id: string; url: string };
async function newLink(body: unknown = {}): Promise<Link> {
  const { status, body: link, text } = await service.call<Link>('POST', '/v1/portal-links', body);
  if (status !== 201) throw new Error(text);
  return link;
}

const styleOfButton = (name: string) => `getComputedStyle(document.querySelector('.button-primary')).${name}`;
const closed = 'This page needs a new link';
/** The stored values of a page; the name of the error where the browser lets it store nothing. */
const stored = (frame: Frame) =>
  frame.evaluate<string>(`(() => {
    try {
      return JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]);
    } catch (error) {
      return error.name;
    }
  })()`);

test('in a frame of another site a customer creates a webhook and sees its delivery, without a cookie', async () => {
  const { page, context, frame, inner, complaints } = await openSite(site);
  const { accountId } = service;
  expect(await inner.title()).toBe(`Webhooks · ${productName}`);
  expect(await frame.locator('.brand img').getAttribute('src')).toBe(logo);
  const links = await frame.getByRole('navigation', { name: 'Main' }).getByRole('link').allTextContents();
  expect(links).toEqual(['Webhooks', 'Delivery log', 'Events', 'Event types', 'Operations', 'Alerts']);
  expect(await frame.getByRole('button', { name: 'Sign out' }).count()).toBe(0);

  await frame.getByRole('link', { name: 'Create webhook' }).first().click();
  await frame.getByLabel('URL', { exact: true }).fill(`${receiver.url}/in-frame`);
  await frame.getByRole('checkbox', { name: '*', exact: true }).check();
  expect(await findBarriers(inner)).toEqual([]);
  await frame.getByRole('button', { name: 'Create' }).click();
  await frame.getByText('Webhook created: save its secret').waitFor();
  await frame.getByText('Verify a request with it').click();
  await frame.getByText("request.headers['x-fltr-signature']").first().waitFor();
  expect(await findBarriers(inner)).toEqual([]);
  await service.publish();
  await frame.getByRole('link', { name: 'Delivery log', exact: true }).click();
  await frame.getByRole('row').nth(1).getByRole('cell', { name: 'delivered' }).waitFor();
  await frame.getByRole('row').nth(1).getByRole('link').first().click();
  await frame.getByText('Timeline').waitFor();
  expect(await frame.getByText('Temporal').count()).toBe(0);
  expect(await findBarriers(inner)).toEqual([]);

  // The theme of the example, on a button.
  await frame.getByRole('link', { name: 'Webhooks', exact: true }).click();
  await frame.getByRole('link', { name: 'Create webhook' }).waitFor();
  expect(await inner.evaluate(styleOfButton('backgroundColor'))).toBe('rgb(11, 122, 95)');
  expect(await inner.evaluate('document.documentElement.dataset.theme')).toBe('light');
  const back = frame.getByRole('link', { name: `Back to ${new URL(site.url).host}` });
  expect([await back.getAttribute('href'), await back.getAttribute('target')]).toEqual([
    `${site.url}/`,
    '_top',
  ]);

  expect(await context.cookies()).toEqual([]);
  // A browser that keeps no cookies of other sites lets their frames store nothing, and the portal works without.
  expect(await stored(inner)).toMatch(/^(SecurityError|\["",\{\},\{\}\])$/);
  const { rows } = await service.pool.query(
    `select 1 from portal_links where account_id = $1 and redeemed_at is not null`,
    [accountId],
  );
  expect(rows.length).toBeGreaterThan(0);
  expect(page.url()).toBe(`${site.url}/`);
  expect(complaints()).toEqual([]);
});

test('the token is in no request: neither in an address nor in a Referer', async () => {
  const window = await openWindow(site.url);
  const seen: string[] = [];
  window.context.on('request', (request) => {
    seen.push(`${request.url()} ${JSON.stringify(request.headers())}`);
  });
  const response = window.page.waitForResponse(/portal-link/);
  await window.page.goto('/');
  const { url } = (await (await response).json()) as Link;
  await heading(window.page, 'Your webhooks at Acme').waitFor();
  await window.page.frameLocator('iframe').getByRole('heading', { level: 1, name: 'Webhooks' }).waitFor();
  const token = new URL(url).hash.slice('#token='.length);
  expect(token).toMatch(/^[\w-]{43}$/);
  // Playwright shows the fragment of a page's address, which is not sent.
  const sent = seen.filter((text) => text.replace(`/portal#token=${token} `, '').includes(token));
  expect(seen.length).toBeGreaterThan(5);
  expect(sent).toEqual([]);
  expect(innerFrame(window.page).url()).not.toContain('token');
});

test('a frame that is reloaded says that it needs a link, and the page around it makes one', async () => {
  const { page, frame, inner } = await openSite(site);
  await page.evaluate('openedAt = Infinity');
  await page.evaluate(
    `addEventListener('message', ({ origin, data }) => (globalThis.seen = { origin, data }))`,
  );
  await inner.evaluate('location.reload()');
  await frame.getByRole('heading', { level: 1, name: closed }).waitFor();
  await frame.getByText('This link was used before, or the session has ended.').waitFor();
  expect(await findBarriers(innerFrame(page))).toEqual([]);
  expect(await page.evaluate('globalThis.seen')).toEqual({
    origin: service.apiUrl,
    data: { type: 'fltr-portal.link-needed' },
  });
  await page.evaluate('openedAt = -Infinity');
  await innerFrame(page).evaluate('location.reload()');
  await frame.getByRole('heading', { level: 1, name: 'Webhooks' }).waitFor();
});

test('a site that is not named shows nothing, and the link is not used up', async () => {
  const stranger = site.url.replace('localhost', 'portal.localhost');
  const { page, complaints } = await openWindow(stranger);
  const response = page.waitForResponse(/portal-link/);
  await page.goto('/');
  const { url } = (await (await response).json()) as Link;
  await until(complaints, (all) => all.some((complaint) => complaint.includes('frame-ancestors')));
  await until(
    () => innerFrame(page).url(),
    (shown) => shown.startsWith('chrome-error:'),
  );
  const alone = await openWindow(service.apiUrl);
  await alone.page.goto(url);
  await heading(alone.page, 'Webhooks').waitFor();
});

test('a site that is named shows the portal only: no other page of the service', async () => {
  const { page, complaints } = await openSite(site);
  for (const [index, path] of ['/webhooks', '/sign-in', '/', '/docs'].entries()) {
    await page.evaluate(`document.querySelector('iframe').src = '${service.apiUrl}${path}'`);
    await until(complaints, (all) => all.filter((text) => text.includes('frame-ancestors')).length > index);
    await until(
      () => innerFrame(page).url(),
      (url) => url.startsWith('chrome-error:'),
    );
  }
});

test('DELETE ends a session that is open in a frame', async () => {
  const { page, frame } = await openSite(site);
  await page.evaluate('openedAt = Infinity');
  const { rows } = await service.pool.query<{ id: string }>(
    `select id from portal_links where redeemed_at is not null order by redeemed_at desc limit 1`,
  );
  expect((await service.call('DELETE', `/v1/portal-links/${rows[0]?.id}`)).status).toBe(204);
  await frame.getByRole('link', { name: 'Delivery log', exact: true }).click();
  await frame.getByRole('heading', { level: 1, name: closed }).waitFor();
  await frame.getByText('The session has ended.').waitFor();
  await page.evaluate('openedAt = -Infinity');
  await innerFrame(page).evaluate('location.reload()');
  await frame.getByRole('heading', { level: 1, name: 'Webhooks' }).waitFor();
});

test('in a frame the cookie of a dashboard in the same browser counts for nothing', async () => {
  const window = await openWindow(sameSite.url);
  const { page, context } = window;
  const other = await service.newAccount();
  // The cookie is sent from this site, too: it is of the same host name.
  const signedIn = await context.request.post(`${localUrl()}/session`, {
    headers: { 'x-fltr-dashboard': '1' },
    data: { key: other.key },
  });
  expect(signedIn.status()).toBe(200);
  await page.goto('/');
  const frame = page.frameLocator('iframe');
  await frame.getByRole('heading', { level: 1, name: 'Webhooks' }).waitFor();
  expect(await frame.locator('.account').getAttribute('title')).toBe(service.accountId);
  expect(await context.cookies()).toHaveLength(1);
  await frame.getByRole('link', { name: 'Delivery log', exact: true }).click();
  await frame.getByRole('heading', { level: 1, name: 'Delivery log' }).waitFor();
  expect(await stored(innerFrame(page))).toBe('["",{},{}]');
  await page.evaluate('openedAt = Infinity');
  await innerFrame(page).evaluate('location.reload()');
  await frame.getByRole('heading', { level: 1, name: closed }).waitFor();
  // The dashboard in its own window is not affected.
  await page.goto(`${localUrl()}/settings`);
  await heading(page, 'Settings').waitFor();
});

test('in a window of its own the session lasts over a reload, and ends when its user signs out', async () => {
  const link = await newLink({
    return_url: 'https://app.example.com/webhooks',
    theme: { accent: '#ffe600', mode: 'dark' },
  });
  const { page, context, complaints } = await openWindow(service.apiUrl);
  await page.goto(link.url);
  await heading(page, 'Webhooks').waitFor();
  expect(new URL(page.url()).pathname).toBe('/portal/webhooks');
  expect(await findBarriers(page)).toEqual([]);
  await page.reload();
  await heading(page, 'Webhooks').waitFor();
  await page.getByRole('link', { name: 'Create webhook' }).first().waitFor();
  expect(await page.evaluate(styleOfButton('color'))).toBe('rgb(0, 0, 0)');
  expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
  await page.getByRole('link', { name: 'Back to app.example.com' }).waitFor();
  const [cookie] = await context.cookies();
  expect(cookie).toMatchObject({ name: 'fltr_session', httpOnly: true, sameSite: 'Strict' });
  for (const path of ['keys', 'settings']) {
    await page.goto(`/portal/${path}`);
    await heading(page, 'Page not found').waitFor();
    await page.goto(`/${path}`);
    await heading(page, 'Webhooks').waitFor();
    expect(new URL(page.url()).pathname).toBe('/portal/webhooks');
  }
  await page.getByRole('button', { name: 'Sign out' }).click();
  await heading(page, closed).waitFor();
  await page.getByText('You are signed out.').waitFor();
  await page.goto('/portal/webhooks');
  await heading(page, closed).waitFor();
  expect(complaints()).toEqual([]);

  await page.goto(link.url);
  await page.getByText('This link was used before. It works once.').waitFor();
  expect(await findBarriers(page)).toEqual([]);
});

test('a link that has expired says so', async () => {
  const link = await newLink();
  await service.pool.query(`update portal_links set ends_at = now() where id = $1`, [link.id]);
  const { page } = await openWindow(service.apiUrl);
  await page.goto(link.url);
  await heading(page, closed).waitFor();
  await page.getByText('This link has expired or was ended.').waitFor();
});

test('a link for reading shows the actions that it does not allow', async () => {
  const { webhook_id: id } = await service.newWebhook(`${receiver.url}/reading`);
  const { page } = await openWindow(service.apiUrl);
  await page.goto((await newLink({ scopes: ['webhooks:read'] })).url);
  const create = page.getByRole('button', { name: 'Create webhook' });
  expect([await create.isDisabled(), await create.getAttribute('title')]).toEqual([
    true,
    'This link does not allow it.',
  ]);
  await page.goto(`/portal/webhooks/${id}`);
  await heading(page, /\/reading$/).waitFor();
  expect(await page.getByText(/sign in with a key|Your key/i).count()).toBe(0);
  expect(await findBarriers(page)).toEqual([]);
});

test('the sign-in page has the product’s name and logo', async () => {
  const { page, complaints } = await openWindow(service.apiUrl);
  await page.goto('/');
  await heading(page, 'Sign in').waitFor();
  expect(await page.title()).toBe(`Sign in · ${productName}`);
  await page.getByText(productName, { exact: true }).waitFor();
  expect(await page.locator('.brand img').getAttribute('src')).toBe(logo);
  expect(await findBarriers(page)).toEqual([]);
  expect(complaints()).toEqual([]);
});

test('the guide shows the page of the example', () => {
  const lines = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .join('\n');
  const page = readFileSync(join(packageRoot, 'examples/portal/page.html'), 'utf8');
  expect(lines(page)).toContain(lines(onlyBlock('docs/portal.md', 'html')).trim());
});
