import type { Response } from 'express';
import { securityHeaders } from './security-headers.ts';

/** No answer here is a page: a browser that is shown one loads nothing, and shows it in no frame. */
const constantHeaders = securityHeaders({ defaultSrc: ["'none'"], frameAncestors: ["'none'"] }).flat();

export type Answer = {
  status: number;
  body?: string | undefined;
  /** JSON unless said. */
  contentType?: string;
  headers?: Readonly<Record<string, string>>;
  /** A page's security headers, in place of those for what is none. */
  pageHeaders?: readonly [string, string][];
};

/** Every answer is written here, in one piece: `setHeader` by `setHeader`, headers cost more than the rest of it. */
export function sendAnswer(
  response: Response,
  { status, body, contentType, headers, pageHeaders }: Answer,
): void {
  const { requestId, isPrivate } = response.locals as { requestId: string; isPrivate?: boolean };
  const all = [...(pageHeaders?.flat() ?? constantHeaders), 'X-Request-Id', requestId];
  // What a key may read is nobody else's, and may hold a secret.
  if (isPrivate === true) all.push('Cache-Control', 'no-store');
  for (const name in headers) all.push(name, headers[name] ?? '');
  if (body !== undefined) {
    const type = contentType ?? 'application/json';
    all.push('Content-Type', `${type}; charset=utf-8`, 'Content-Length', String(Buffer.byteLength(body)));
  }
  response.writeHead(status, all).end(body);
}

export function sendJson(response: Response, status: number, body: unknown): void {
  sendAnswer(response, { status, body: JSON.stringify(body) });
}
