import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express, { type RequestHandler } from 'express';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dashboardRoutes } from '../../src/api/dashboard.ts';
import { problemHandler } from '../../src/api/problem-details.ts';
import { createHttpServer } from '../../src/api/server.ts';
import { ApiError } from '../../src/errors.ts';
import { createLog } from '../../src/observability/log.ts';
import { startService, type Service } from '../kit/service.ts';

const pageNamed = (name: string, icon = '<link rel="icon" href="/icon.svg" type="image/svg+xml" />') =>
  `<!doctype html><title>${name}</title>${icon}`;
const page = pageNamed('FLTR webhooks');
const defaults = {
  FLTR_PRODUCT_NAME: 'FLTR webhooks',
  FLTR_LOGO_URL: undefined,
  FLTR_PORTAL_FRAME_ANCESTORS: [],
};
let folder: string;
let server: Server;
let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
  folder = mkdtempSync(join(tmpdir(), 'fltr-dashboard-'));
  server = await serve(defaults);
});
afterAll(async () => {
  await service.stop();
  server.close();
  rmSync(folder, { recursive: true });
});

async function serve(settings: Parameters<typeof dashboardRoutes>[0]): Promise<Server> {
  const app = express().use((_request, response, next) => {
    response.locals['requestId'] = 'req_1';
    next();
  });
  const routes = dashboardRoutes(settings, join(folder, 'dashboard'));
  const started = createHttpServer(app.use(routes, noFile, problemHandler(createLog('silent'))));
  started.listen(0, '127.0.0.1');
  await once(started, 'listening');
  return started;
}
const urlOf = (of: Server) => `http://127.0.0.1:${(of.address() as AddressInfo).port}`;

const noFile: RequestHandler = () => {
  throw new ApiError('not_found', 'No such file.');
};
const html = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
async function get(path: string, headers: Record<string, string> = {}, base?: string, method = 'GET') {
  const url = base ?? urlOf(server);
  const response = await fetch(url + path, { method, headers, redirect: 'manual' });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

test('a dashboard that is not built says how to build it', async () => {
  for (const [path, headers] of [
    ['/', {}],
    ['/webhooks/wh_1', html],
  ] as const) {
    const { status, text, headers: got } = await get(path, headers);
    expect([status, got.get('content-type')]).toEqual([404, 'application/problem+json; charset=utf-8']);
    expect(text).toContain('Run `npm run build`');
  }
});

test('each address of a view is the one page, never kept, with a policy that loads from here only', async () => {
  mkdirSync(join(folder, 'dashboard/assets'), { recursive: true });
  writeFileSync(join(folder, 'dashboard/index.html'), pageNamed('built'));
  writeFileSync(join(folder, 'dashboard/assets/index-Ab12.js'), 'export {};');
  writeFileSync(join(folder, 'dashboard/icon.svg'), '<svg/>');
  writeFileSync(join(folder, 'dashboard/.hidden'), 'hidden');
  writeFileSync(join(folder, 'beside.txt'), 'beside');
  for (const path of ['/', '/?a=1', '/log', '/sign-in', '/webhooks/wh_1', '/v1x', '/sessions']) {
    const { status, text, headers } = await get(path, html);
    expect([path, status, text]).toEqual([path, 200, page]);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy':
        "default-src 'none';script-src 'self';style-src 'self';img-src 'self' data:;font-src 'self';connect-src 'self';base-uri 'none';form-action 'self';frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
    });
  }
  // Every request for the root gets the page.
  expect((await get('/')).text).toBe(page);
  expect((await get('/log', html, undefined, 'HEAD')).status).toBe(200);
});

test('the product’s own name and logo are in the page, as text, and its policy allows that image', async () => {
  const img = async (settings: Parameters<typeof dashboardRoutes>[0]) => {
    const own = await serve(settings);
    const { text, headers } = await get('/', html, urlOf(own));
    own.close();
    return [text, /img-src [^;]*/.exec(headers.get('content-security-policy') ?? '')?.[0]];
  };
  const hostile = `"><script>alert('1')</script>&$&$1`;
  const escaped = `&quot;&gt;&lt;script&gt;alert('1')&lt;/script&gt;&amp;$&amp;$1`;
  const logo = 'https://cdn.example.com:8443/logo.svg?a=1&b="$&';
  const icon = '<link rel="icon" href="https://cdn.example.com:8443/logo.svg?a=1&amp;b=&quot;$&amp;" />';
  expect(await img({ ...defaults, FLTR_PRODUCT_NAME: hostile, FLTR_LOGO_URL: logo })).toEqual([
    pageNamed(escaped, icon),
    "img-src 'self' data: https://cdn.example.com:8443",
  ]);
  const inline = 'data:image/svg+xml;base64,PHN2Zy8+';
  expect(await img({ ...defaults, FLTR_PRODUCT_NAME: 'Acme', FLTR_LOGO_URL: inline })).toEqual([
    pageNamed('Acme', `<link rel="icon" href="${inline}" />`),
    "img-src 'self' data:",
  ]);
});

test('only the portal may be in a frame, and only in the pages of sites that are named', async () => {
  const ancestors = ['https://app.example.com', 'https://example.com:8443'];
  const own = await serve({ ...defaults, FLTR_PORTAL_FRAME_ANCESTORS: ancestors });
  const framesOf = async (path: string, base?: string) => {
    const { headers } = await get(path, html, base);
    return [
      /frame-ancestors .*/.exec(headers.get('content-security-policy') ?? '')?.[0],
      headers.get('x-frame-options'),
    ];
  };
  const none = ["frame-ancestors 'none'", 'DENY'];
  for (const path of ['/portal', '/portal/', '/portal/webhooks/wh_1']) {
    expect([path, await framesOf(path, urlOf(own))]).toEqual([
      path,
      ['frame-ancestors https://app.example.com https://example.com:8443', null],
    ]);
    expect(await framesOf(path)).toEqual(none);
  }
  for (const path of ['/', '/webhooks', '/keys', '/sign-in', '/portals', '/PORTAL', '/x/portal', '//portal'])
    expect([path, await framesOf(path, urlOf(own))]).toEqual([path, none]);
  own.close();
});

test('assets are kept for a year, other files are not', async () => {
  const asset = await get('/assets/index-Ab12.js');
  expect([asset.status, asset.text]).toEqual([200, 'export {};']);
  expect(asset.headers.get('content-type')).toMatch(/^text\/javascript/);
  expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(asset.headers.get('x-content-type-options')).toBe('nosniff');
  const icon = await get('/icon.svg');
  expect([icon.status, icon.headers.get('cache-control')]).toEqual([200, 'no-store']);
  expect(icon.headers.get('content-security-policy')).toContain("default-src 'none'");
});

test('only its files are served: not files beside them, hidden ones, or the API', async () => {
  for (const path of ['/..%2fbeside.txt', '/%2e%2e/beside.txt', '/assets/..%2f..%2fbeside.txt', '/.hidden']) {
    const { status, text } = await get(path);
    expect([path, status]).toEqual([path, 404]);
    expect(text).not.toMatch(/beside|hidden/);
  }
  for (const path of [
    '/v1',
    '/v1/nothing',
    '/V1/nothing',
    '/assets/missing.js',
    '/docs/missing',
    '/metrics/x',
  ])
    expect([path, (await get(path, html)).status]).toEqual([path, 404]);
  expect((await get('/log')).status).toBe(404);
  expect((await get('/log', html, undefined, 'POST')).status).toBe(404);
});

test('in the service, an unknown path below /v1 stays a problem, also for a browser', async () => {
  for (const path of ['/v1/nothing', '/v1', '/assets/none.js']) {
    const { status, text, headers } = await get(path, html, service.apiUrl);
    expect([status, headers.get('content-type')]).toEqual([404, 'application/problem+json; charset=utf-8']);
    expect(text).toContain('"code":"not_found"');
  }
  const root = await get('/', html, service.apiUrl);
  // Built or not, the API is there, and the root names the service.
  expect(root.status === 200 ? root.text : root.text.replaceAll('`', '')).toMatch(
    /<!doctype html>|Run npm run build/i,
  );
  expect((await get('/healthz', html, service.apiUrl)).text).toBe('{"status":"ok"}');
});
