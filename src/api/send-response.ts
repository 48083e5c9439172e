import type { Response } from 'express';
import { securityHeaders } from './security-headers.ts';

/** Only pages load anything: a browser that is shown another response loads nothing and puts it in no frame. */
const constantHeaders = securityHeaders({ defaultSrc: ["'none'"], frameAncestors: ["'none'"] }).flat();

type Content = {
  status: number;
  body?: string | undefined;
  /** Default: JSON. */
  contentType?: string;
  headers?: Readonly<Record<string, string>>;
  /** The security headers of a page, in place of the default ones. */
  pageHeaders?: readonly [string, string][];
};

/** Writes a response with one `writeHead`: calls of `setHeader` would cost more than the rest of it. */
export function sendResponse(
  response: Response,
  { status, body, contentType, headers, pageHeaders }: Content,
): void {
  const { requestId, isPrivate } = response.locals as { requestId: string; isPrivate?: boolean };
  const all = [...(pageHeaders?.flat() ?? constantHeaders), 'X-Request-Id', requestId];
  // It may hold a secret.
  if (isPrivate === true) all.push('Cache-Control', 'no-store');
  for (const name in headers) all.push(name, headers[name] ?? '');
  if (body !== undefined) {
    const type = contentType ?? 'application/json';
    all.push('Content-Type', `${type}; charset=utf-8`, 'Content-Length', String(Buffer.byteLength(body)));
  }
  response.writeHead(status, all).end(body);
}

/** The head of a response whose body follows in parts. */
export function sendHead(
  response: Response,
  contentType: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { requestId } = response.locals as { requestId: string };
  const own = ['X-Request-Id', requestId, 'Cache-Control', 'no-store'];
  const all = [...constantHeaders, ...own, ...Object.entries(headers).flat()];
  response.writeHead(200, [...all, 'Content-Type', `${contentType}; charset=utf-8`]);
}

export function sendJson(response: Response, status: number, body: unknown): void {
  sendResponse(response, { status, body: JSON.stringify(body) });
}
