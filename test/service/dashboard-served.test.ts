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

const page = '<!doctype html><title>Dashboard</title>';
let folder: string;
let server: Server;
let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
  folder = mkdtempSync(join(tmpdir(), 'fltr-dashboard-'));
  const app = express().use((_request, response, next) => {
    response.locals['requestId'] = 'req_1';
    next();
  });
  server = createHttpServer(
    app.use(dashboardRoutes(join(folder, 'dashboard')), noFile, problemHandler(createLog('silent'))),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  await service.stop();
  server.close();
  rmSync(folder, { recursive: true });
});

const noFile: RequestHandler = () => {
  throw new ApiError('not_found', 'No such file.');
};
const html = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
async function get(path: string, headers: Record<string, string> = {}, base?: string, method = 'GET') {
  const url = base ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
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
  writeFileSync(join(folder, 'dashboard/index.html'), page);
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
  // Whatever asks for the root is shown the page.
  expect((await get('/')).text).toBe(page);
  expect((await get('/log', html, undefined, 'HEAD')).status).toBe(200);
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

test('what is none of its files is not given: not what is beside it, hidden, or the API', async () => {
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
  // Built or not, the API is there, and the root says what it is.
  expect(root.status === 200 ? root.text : root.text.replaceAll('`', '')).toMatch(
    /<!doctype html>|Run npm run build/i,
  );
  expect((await get('/healthz', html, service.apiUrl)).text).toBe('{"status":"ok"}');
});
