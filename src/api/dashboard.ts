import { readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import express, { Router, type Request, type Response } from 'express';
import type { Config } from '../config.ts';
import { packageRoot } from '../package-root.ts';
import { ApiError } from '../errors.ts';
import { escapeHtml } from './escape-html.ts';
import { pageDirectives, securityHeaders } from './security-headers.ts';
import { sendResponse } from './send-response.ts';

const builtDashboard = join(packageRoot, 'dist/dashboard');
/** Paths that are never a page of the dashboard, found or not. */
const noPage = /^\/(v1|session|healthz|readyz|metrics|openapi\.json|docs|assets)(\/|$)/i;

type Settings = Pick<Config, 'FLTR_PRODUCT_NAME' | 'FLTR_LOGO_URL' | 'FLTR_PORTAL_FRAME_ANCESTORS'>;
const portalPage = /^\/portal(\/|$)/;

/** The pages of the dashboard and their files. These are the last routes: every other path of a browser is a page. */
export function dashboardRoutes(settings: Settings, folder: string = builtDashboard): Router {
  const router = Router();
  const directives = { ...pageDirectives, imgSrc: [...pageDirectives.imgSrc, ...logoOrigin(settings)] };
  const pageHeaders = securityHeaders(directives);
  const ancestors = settings.FLTR_PORTAL_FRAME_ANCESTORS;
  const portalHeaders =
    ancestors.length === 0 ? pageHeaders : securityHeaders({ ...directives, frameAncestors: ancestors });
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
    const headers = portalPage.test(request.path) ? portalHeaders : pageHeaders;
    return readPage(folder, settings).then((page) => sendPage(response, page, headers));
  });
  return router;
}

/** Every view of the dashboard, such as `/webhooks/wh_1`, is the same page. */
function isPage({ method, path, headers }: Request): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  return path === '/' || (!noPage.test(path) && headers.accept?.includes('text/html') === true);
}

/** The page's title is the product's name, and its icon the logo: the dashboard reads them from there. */
async function readPage(folder: string, settings: Settings): Promise<string> {
  const { FLTR_PRODUCT_NAME: name, FLTR_LOGO_URL: logo } = settings;
  const page = await readFile(join(folder, 'index.html'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? notBuilt() : error;
  });
  const named = page.replace(/<title>[^<]*<\/title>/, () => `<title>${escapeHtml(name)}</title>`);
  return logo === undefined
    ? named
    : named.replace(/<link rel="icon"[^>]*>/, () => `<link rel="icon" href="${escapeHtml(logo)}" />`);
}

/** Where the page may load the logo from, beside the service itself and `data:`. */
const logoOrigin = ({ FLTR_LOGO_URL: logo }: Settings): string[] =>
  logo?.startsWith('https:') ? [new URL(logo).origin] : [];

function sendPage(response: Response, body: string, pageHeaders: [string, string][]): void {
  const headers = { 'Cache-Control': 'no-store' };
  sendResponse(response, { status: 200, contentType: 'text/html', body, headers, pageHeaders });
}

const notBuilt = () =>
  new ApiError('not_found', 'The dashboard is not built. Run `npm run build`, then load this page again.');
