import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Express, RequestHandler } from 'express';
import { escapeHtml } from './escape-html.ts';
import { sendResponse } from './send-response.ts';
import { pageDirectives, securityHeaders } from './security-headers.ts';

export const docsPath = '/docs';

const swaggerFolder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const swaggerFiles = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'];

// Swagger UI writes styles into its elements.
const pageHeaders = securityHeaders({ ...pageDirectives, styleSrc: ["'self'", "'unsafe-inline'"] });
const headers = { 'Cache-Control': 'no-cache' };

const pageOf = (productName: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(productName)}: API reference</title>
<link rel="icon" type="image/png" href="${docsPath}/favicon-32x32.png">
<link rel="stylesheet" href="${docsPath}/swagger-ui.css">
<style>
.notice { margin: 0; padding: 12px 20px; font: 14px/1.5 system-ui, sans-serif; }
.dark-mode .notice { color: #e4e6e6; }
.dark-mode .notice a { color: #93a7ff; }
</style>
<script src="${docsPath}/theme.js"></script>
</head>
<body>
<p class="notice"><a href="/">Dashboard</a> · “Try it out” uses your dashboard session. To use an API key instead: Authorize, Logout, then enter the key.</p>
<div id="reference"></div>
<script src="${docsPath}/swagger-ui-bundle.js"></script>
<script src="${docsPath}/reference.js"></script>
</body>
</html>
`;

/** The theme chosen in the dashboard, otherwise the system's. `dark-mode` is Swagger UI's class. */
const themeScript = `let theme = null;
try {
  theme = localStorage.getItem('fltr-theme');
} catch {
  // No storage: the system's theme.
}
const system = matchMedia('(prefers-color-scheme: dark)');
const apply = () =>
  document.documentElement.classList.toggle('dark-mode', theme ? theme === 'dark' : system.matches);
system.addEventListener('change', apply);
apply();
`;

/**
 * Requests use the dashboard's session, so no key is needed. The curl line beside a request is for a shell, which has no
 * session: it shows a placeholder for the key.
 */
const script = `const keyPlaceholder = 'YOUR_API_KEY';
const reference = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  validatorUrl: null,
  showMutatedRequest: false,
  requestInterceptor(request) {
    if (request.headers.Authorization === 'Bearer ' + keyPlaceholder) delete request.headers.Authorization;
    request.headers['X-FLTR-Dashboard'] = '1';
    return request;
  },
  onComplete() {
    reference.preauthorizeApiKey('apiKey', keyPlaceholder);
  },
});
`;

/** The API reference, rendered from the OpenAPI document. Everything it loads is served here. */
export function addDocsRoutes(app: Express, productName: string): void {
  const send =
    (contentType: string, body: string): RequestHandler =>
    (_request, response) => {
      response.locals['route'] = `GET ${docsPath}`;
      sendResponse(response, { status: 200, contentType, body, headers, pageHeaders });
    };
  app.get(docsPath, send('text/html', pageOf(productName)));
  app.get(`${docsPath}/reference.js`, send('text/javascript', script));
  app.get(`${docsPath}/theme.js`, send('text/javascript', themeScript));
  for (const file of swaggerFiles) {
    app.get(`${docsPath}/${file}`, (_request, response) => {
      response.locals['route'] = `GET ${docsPath}`;
      const all = { ...Object.fromEntries(pageHeaders), ...headers };
      response.sendFile(file, { root: swaggerFolder, headers: all, cacheControl: false });
    });
  }
}
