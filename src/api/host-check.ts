import type { Request } from 'express';
import type { Config } from '../config.ts';
import { ApiError } from '../errors.ts';

/** Node uses the first of two of these; a proxy in front of the service may have checked the other one. */
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
 * Against DNS rebinding: in development, a page of another site could resolve its own name to this machine and read every
 * path that needs no key. So the service responds only to its own names. Production runs behind a proxy, which decides about
 * names.
 *
 * @returns a function that throws ApiError host_refused
 */
export function createHostCheck({ FLTR_ENV, HOST }: Pick<Config, 'FLTR_ENV' | 'HOST'>) {
  const own = hostnameOf(HOST.includes(':') && !HOST.startsWith('[') ? `[${HOST}]` : HOST);
  /** The last one: nearly all requests have the same. */
  let accepted: string | undefined;
  return ({ headers: { host } }: Pick<Request, 'headers'>): void => {
    // Every browser sends it.
    if (FLTR_ENV === 'production' || host === undefined || host === accepted) return;
    if (isOwnHost(hostnameOf(host), own)) {
      accepted = host;
      return;
    }
    throw new ApiError(
      'host_refused',
      'In development the service responds to localhost, to loopback addresses, and to the name in HOST. To call it by another name, set HOST to that name, or let the proxy in front of it send "Host: localhost".',
    );
  };
}

/** @example isOwnHost('localhost', '127.0.0.1') // true */
function isOwnHost(hostname: string | undefined, own: string | undefined): boolean {
  if (hostname === undefined) return false;
  if (hostname === own || /(^|\.)localhost$/.test(hostname)) return true;
  if (hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)) return true;
  // The service listens on every address of the machine. Only a name can be rebound.
  return (own === '0.0.0.0' || own === '[::]') && /^(\[.*\]|\d+(\.\d+){3})$/.test(hostname);
}

/** The host of a `Host` header as the URL parser writes it, without port and trailing dot; undefined where it is invalid. */
function hostnameOf(host: string): string | undefined {
  if (/[/?#@\\\s]/.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  return new URL(`http://${host}`).hostname.replace(/\.$/, '');
}
