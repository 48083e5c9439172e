import { boundHeaders } from './response-headers.ts';

/** The readable part of a response that is not valid HTTP. */
export type BrokenResponse = { statusCode: number | null; headers: Record<string, string> };

/**
 * Reads as much of a response's status and headers as can be read, from bytes that the parser refused. Interim responses
 * before it are passed over; so is a line that is no header, or is not complete.
 *
 * @example
 * readBrokenHead(Buffer.from('HTTP/1.1 200 OK\r\nVia: a\r\nContent-Length: x\r\n\r\n'));
 * // { statusCode: 200, headers: { via: 'a', 'content-length': 'x' } }
 */
export function readBrokenHead(bytes: Buffer): BrokenResponse {
  const lines = bytes.toString('latin1').split(/\r?\n/);
  // Without its line end it may be incomplete.
  lines.pop();
  let statusCode: number | null = null;
  let headers = noHeaders();
  let isInterim = true;
  for (const line of lines) {
    const status: string | undefined = isInterim ? /^HTTP\/\d\.\d (\d{3})(?: |$)/.exec(line)?.[1] : undefined;
    if (status !== undefined) {
      statusCode = Number(status);
      headers = noHeaders();
      isInterim = statusCode >= 100 && statusCode < 200;
    } else if (line === '') {
      if (!isInterim) break;
    } else if (statusCode !== null) {
      const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
      if (name === undefined || value === undefined) continue;
      (headers[name.toLowerCase()] ??= []).push(value);
    }
  }
  return { statusCode, headers: boundHeaders(headers) };
}

/** Without a prototype: a header may be called `__proto__`. */
function noHeaders(): Record<string, string[]> {
  return Object.create(null) as Record<string, string[]>;
}
