import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { routes } from '../../src/api/routes/route-table.ts';
import { launchBrowser, openTab } from '../kit/browser.ts';
import { insertPast } from '../kit/dashboard-data.ts';
import { startReceiver } from '../kit/test-receiver.ts';
import { scopes } from '../../src/security/api-keys.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let browser: Browser;
beforeAll(async () => {
  [service, browser] = await Promise.all([startService({}, 'api'), launchBrowser()]);
});
afterAll(() => stopAll(browser, service));

const get = async (path: string) => {
  const response = await fetch(service.apiUrl + path);
  return { status: response.status, text: await response.text(), headers: response.headers };
};

test('the reference is served with all that it names, and names no other host', async () => {
  const page = await get('/docs');
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  const linked = [...page.text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, path = '']) => path);
  const named = linked.filter((path) => path !== '/');
  expect([linked.length, named.length]).toEqual([6, 5]);
  for (const path of named) {
    expect(path).toMatch(/^\/docs\/[\w.-]+$/);
    const { status, text, headers } = await get(path);
    expect([path, status, text.length > 100]).toEqual([path, 200, true]);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  }
  const script = (await get('/docs/reference.js')).text;
  for (const text of [page.text, script]) expect(text).not.toMatch(/https?:|\/\//);
  // No script in the page itself, which the policy would not run.
  expect(page.text).not.toMatch(/<script(?! src=)[^>]*>|<script[^>]*>[^<]/);
  expect(page.headers.get('content-security-policy')).toBe(
    "default-src 'none';script-src 'self';style-src 'self' 'unsafe-inline';img-src 'self' data:;font-src 'self';connect-src 'self';base-uri 'none';form-action 'self';frame-ancestors 'none'",
  );
  for (const path of ['/docs/index.html', '/docs/package.json', '/docs/..%2fpackage.json'])
    expect([path, (await get(path)).status]).toEqual([path, 404]);
});

test('a browser shows every call, loads nothing from elsewhere, and tries one with a key', async () => {
  const { page, complaints, context } = await openTab(browser, service.apiUrl);
  await page.goto('/docs');
  await page.locator('.opblock').first().waitFor();
  const shown = await page.locator('.opblock-summary-path').allInnerTexts();
  // Swagger UI puts zero-width spaces where a path may be broken.
  const paths = new Set(shown.map((text) => text.replaceAll('\u200b', '')));
  for (const { path } of routes) expect([...paths]).toContain(path);

  await page.getByRole('button', { name: 'Authorize' }).first().click();
  // Replaces the placeholder of the key.
  await page.getByRole('button', { name: 'Remove authorization' }).click();
  await page.getByRole('textbox').first().fill(service.key);
  await page.getByRole('button', { name: 'Apply credentials' }).click();
  await page.getByRole('button', { name: 'Close', exact: true }).click();
  await execute(page, '200');
  expect(complaints).toEqual([]);
  await context.close();
});

test('the page follows the system theme and the theme chosen in the dashboard', async () => {
  const { page, context } = await openTab(browser, service.apiUrl);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.goto('/docs');
  const background = () =>
    page.evaluate<string>('getComputedStyle(document.documentElement).backgroundColor');
  expect(await background()).toBe('rgb(28, 32, 34)');
  await page.evaluate(`localStorage.setItem('fltr-theme', 'light')`);
  await page.reload();
  expect(await background()).toBe('rgba(0, 0, 0, 0)');
  await context.close();
});

test('whoever is signed in to the dashboard tries a call without a key, and nobody else does', async () => {
  const { page, complaints, context } = await openTab(browser, service.apiUrl);
  await page.goto('/docs');
  await execute(page, '401');
  const headers = { 'x-fltr-dashboard': '1' };
  const signedIn = await context.request.post('/session', { headers, data: { key: service.key } });
  expect(signedIn.status()).toBe(200);
  // The address names the opened call.
  await page.goto('/docs?anew');
  await execute(page, '200');
  expect(complaints).toEqual([]);
  await context.close();
});

test('the curl line beside a call has a placeholder for the key, and nothing that only a page can send', async () => {
  const { page, complaints, context } = await openTab(browser, service.apiUrl);
  const headers = { 'x-fltr-dashboard': '1' };
  await context.request.post('/session', { headers, data: { key: service.key } });
  await page.goto('/docs');
  await execute(page, '200');
  const line = (await page.locator('#operations-Settings-getSettings .curl').first().innerText()).trim();
  expect(line).not.toMatch(/dashboard/i);
  expect(line).toContain('Authorization: Bearer YOUR_API_KEY');
  // Pasted into a shell, with a key.
  const { stdout } = await promisify(execFile)('sh', [
    '-c',
    `${line.replace('YOUR_API_KEY', service.key)} -s -o /dev/null -w '%{http_code}'`,
  ]);
  expect(stdout).toBe('200');
  expect(complaints).toEqual([]);
  await context.close();
});

test('each example of a body in the document succeeds as it stands, with ids that are there', async () => {
  const receiver = await startReceiver();
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const { deliveries } = await service.publish();
  const deliveryId = deliveries[0]?.id ?? '';
  await insertPast(service, { accountId: service.accountId, webhookId, count: 1 });
  const { rows } = await service.pool.query<{ id: string }>(
    `select id from deliveries where status = 'delivered' and account_id = $1`,
    [service.accountId],
  );
  const ids: Record<string, string> = { webhooks: webhookId, deliveries: deliveryId };
  const attemptedId = rows[0]?.id ?? '';
  const serviceKey = await service.newKey({ accountId: null, scopes });
  type Operation = { requestBody?: { content: { 'application/json': { example?: unknown } } } };
  const { paths } = JSON.parse((await get('/openapi.json')).text) as {
    paths: Record<string, Record<string, Operation>>;
  };
  const responses: [call: string, status: number, text: string][] = [];
  for (const [path, operations] of Object.entries(paths))
    for (const [method, { requestBody }] of Object.entries(operations)) {
      if (!requestBody) continue;
      const { example } = requestBody.content['application/json'];
      const body = JSON.stringify(example)?.replace('wh_01k', webhookId);
      // A webhook that PUT creates has an id of its own.
      const id =
        method === 'put'
          ? 'mine'
          : path.endsWith('/signed-request')
            ? attemptedId
            : ids[path.split('/')[2] ?? ''];
      const target = path.replace('{id}', id ?? '').replace('{name}', 'order.paid');
      const own = await service.call<{ code?: string }>(method.toUpperCase(), target, body);
      const isOfService = own.body.code === 'service_key_required';
      const { status, text } = isOfService
        ? await call(service.apiUrl, serviceKey, method.toUpperCase(), target, body)
        : own;
      responses.push([`${method} ${path}`, status, text]);
    }
  expect(responses.length).toBeGreaterThanOrEqual(9);
  expect(responses.filter(([, status]) => status < 200 || status > 299)).toEqual([]);
  const batch = responses.find(([call]) => call === 'post /v1/events/batch')?.[2] ?? '';
  expect(JSON.parse(batch)).toMatchObject({ data: [{ status: 202 }] });
  await receiver.close();
});

async function execute(page: Page, status: string): Promise<void> {
  const call = page.locator('#operations-Settings-getSettings');
  await call.locator('.opblock-summary-control').click();
  await call.getByRole('button', { name: 'Try it out' }).click();
  await call.getByRole('button', { name: 'Execute' }).click();
  await call.locator('.live-responses-table .response-col_status').filter({ hasText: status }).waitFor();
}
