import { join, relative, sep } from 'node:path';
import express, { Router, type Request, type Response } from 'express';
import { packageRoot } from '../package-root.ts';
import { ApiError } from '../errors.ts';
import { pageDirectives, securityHeaders } from './security-headers.ts';

const builtDashboard = join(packageRoot, 'dist/dashboard');
const pageHeaders = securityHeaders(pageDirectives);
/** Paths that are never a page of the dashboard, found or not. */
const noPage = /^\/(v1|session|healthz|readyz|metrics|openapi\.json|docs|assets)(\/|$)/i;

/** The pages of the dashboard and what they load. The last routes: any other path that a browser requests is a page. */
export function dashboardRoutes(folder: string = builtDashboard): Router {
  const router = Router();
  const files = express.static(folder, {
    index: false,
    redirect: false,
    cacheControl: false,
    setHeaders(response, path) {
      response.locals['route'] = 'GET /assets';
      for (const [name, value] of pageHeaders) response.setHeader(name, value);
      // Their names hold a digest of their content.
      const isAsset = relative(folder, path).startsWith(`assets${sep}`);
      response.setHeader('Cache-Control', isAsset ? 'public, max-age=31536000, immutable' : 'no-store');
    },
  });
  router.use((request, response, next) => {
    if (!isPage(request)) return files(request, response, next);
    response.locals['route'] = 'GET /';
    return sendPage(folder, response);
  });
  return router;
}

/** Every view of the dashboard, such as `/webhooks/wh_1`, is the same page. */
function isPage({ method, path, headers }: Request): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  return path === '/' || (!noPage.test(path) && headers.accept?.includes('text/html') === true);
}

function sendPage(folder: string, response: Response): Promise<void> {
  const headers = { ...Object.fromEntries(pageHeaders), 'Cache-Control': 'no-store' };
  const options = { root: folder, headers, cacheControl: false };
  return new Promise((resolve, reject) => {
    response.sendFile('index.html', options, (error?: Error & { code?: string }) => {
      // The client may have disconnected.
      if (error === undefined || response.headersSent || error.code === 'ECONNABORTED') resolve();
      else reject(error.code === 'ENOENT' ? notBuilt() : error);
    });
  });
}

const notBuilt = () =>
  new ApiError('not_found', 'The dashboard is not built. Run `npm run build`, then load this page again.');
