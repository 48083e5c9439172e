import type { Request } from 'express';
import type { Config } from '../config.ts';
import { ApiError } from '../errors.ts';

/** Node keeps the first of two of these; a proxy before the service may have judged the other one. */
const singleHeaders = ['host', 'authorization'];

/** @throws ApiError bad_request */
export function requireSingleHeaders({ rawHeaders }: Request): void {
  for (const name of singleHeaders) {
    let count = 0;
    for (let index = 0; index < rawHeaders.length; index += 2)
      if (rawHeaders[index]?.length === name.length && rawHeaders[index]?.toLowerCase() === name) count += 1;
    if (count > 1) throw new ApiError('bad_request', `The request has two ${name} headers. Send one.`);
  }
}

/**
 * In development, a page of another site could make its own name lead to this machine, and would then read as that site
 * whatever asks for no key (DNS rebinding). So the service responds to its own names only. Production stands behind a
 * proxy, which decides about names.
 *
 * @returns a function that throws ApiError host_refused
 */
export function createHostCheck({ FLTR_ENV, HOST }: Pick<Config, 'FLTR_ENV' | 'HOST'>) {
  const own = hostnameOf(HOST.includes(':') && !HOST.startsWith('[') ? `[${HOST}]` : HOST);
  return ({ headers: { host } }: Pick<Request, 'headers'>): void => {
    // No browser leaves it out.
    if (FLTR_ENV === 'production' || host === undefined || isOwnHost(hostnameOf(host), own)) return;
    throw new ApiError(
      'host_refused',
      'In development the service responds as localhost, at loopback addresses, and as HOST says. To call it by another name, set HOST to that name, or let the proxy before it send "Host: localhost".',
    );
  };
}

/** @example isOwnHost('localhost', '127.0.0.1') // true */
function isOwnHost(hostname: string | undefined, own: string | undefined): boolean {
  if (hostname === undefined) return false;
  if (hostname === own || /(^|\.)localhost$/.test(hostname)) return true;
  if (hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)) return true;
  // The service has every address of the machine. Only a name can be made to lead here.
  return (own === '0.0.0.0' || own === '[::]') && /^(\[.*\]|\d+(\.\d+){3})$/.test(hostname);
}

/** The host of a `Host` header as the URL parser writes it, without a port and a last dot; undefined where it is none. */
function hostnameOf(host: string): string | undefined {
  if (/[/?#@\\\s]/.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  return new URL(`http://${host}`).hostname.replace(/\.$/, '');
}
