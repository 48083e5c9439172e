import { isIP, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { judgeIp, parseIp, withoutBrackets } from './judge-ip.ts';

export type UrlFaultCode =
  | 'url_invalid'
  | 'url_too_long'
  | 'url_scheme'
  | 'url_credentials'
  | 'url_fragment'
  | 'url_port'
  | 'url_blocked_address';

export type UrlVerdict = { ok: true; url: URL } | { ok: false; code: UrlFaultCode; message: string };

export type AddressGuard = {
  /** Judges a webhook's URL as text; looks nothing up. */
  checkUrl: (url: string) => UrlVerdict;
  /** Judges an address about to be dialled, or dialled, for `host` (the URL's `hostname`). */
  checkAddress: (address: string, host: string) => boolean;
};

export type AddressGuardOptions = { production: boolean; allowedCidrs: string[] };

const maxUrlCharacters = 2048;
const loopbackHosts = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);
const loopbackAddresses = new Set(['127.0.0.1', '::1']);

/**
 * Decides which URLs and addresses webhooks may be sent to. Public addresses are; networks in
 * `allowedCidrs` are too, except loopback, link-local, the clouds' metadata services, multicast, unspecified,
 * 240.0.0.0/4 and IPv4 tunnelled in IPv6.
 * Loopback is a target only outside production, and only where the parsed URL's host reads `localhost`,
 * `127.0.0.1` or `[::1]`; the same three hosts alone may use plain http there.
 *
 * Throws a `RangeError` that names the entry when one of `allowedCidrs` is not a network.
 * Source: IANA's special-purpose address registries, as ipaddr.js lists them; WHATWG URL for parsing.
 *
 * @example
 * const guard = createAddressGuard({ production: true, allowedCidrs: ['10.20.0.0/16'] });
 * guard.checkUrl('https://169.254.169.254/').ok; // false
 * guard.checkAddress('10.20.1.2', 'receiver.internal'); // true
 */
export function createAddressGuard({ production, allowedCidrs }: AddressGuardOptions): AddressGuard {
  const allowed = allowedCidrs.map((cidr) => parseCidr(cidr));

  const isAllowed = (ip: ipaddr.IPv4 | ipaddr.IPv6): boolean =>
    allowed.some((cidr) => ip.kind() === cidr[0].kind() && ip.match(cidr));

  function checkAddress(address: string, host: string): boolean {
    // A name of this machine may mean no other address, even if the lookup finds one.
    if (loopbackHosts.has(host)) return !production && loopbackAddresses.has(address);
    const ip = parseIp(address);
    if (ip === undefined) return false;
    const kind = judgeIp(ip);
    return kind === 'public' || (kind === 'private' && isAllowed(ip));
  }

  function checkUrl(text: string): UrlVerdict {
    const fault = checkUrlText(text);
    if (fault !== undefined) return fault;
    if (!URL.canParse(text)) return refuse('url_invalid', 'This is not a URL; write https://host/path.');
    const url = new URL(text);
    if (url.port === '0') return refuse('url_port', 'Port 0 cannot be dialled; remove it or name another.');
    if (!mayNameHost(url.hostname, production, checkAddress)) {
      return refuse(
        'url_blocked_address',
        production
          ? 'The host must be on the public internet; private, loopback and reserved addresses are refused.'
          : 'The host must be on the public internet, or read localhost, 127.0.0.1 or [::1].',
      );
    }
    if (url.protocol === 'https:' || (!production && loopbackHosts.has(url.hostname)))
      return { ok: true, url };
    return refuse(
      'url_scheme',
      production ? 'Use https.' : 'Use https; http is for localhost, 127.0.0.1 and [::1] only.',
    );
  }

  return { checkUrl, checkAddress };
}

/**
 * The networks in a setting such as `10.1.0.0/16, fd12:3456:789a::/48` (separated by commas or white space; empty: none).
 * Throws a `RangeError` naming the first entry that is not a network in CIDR notation.
 *
 * @example
 * parseCidrs('10.0.0.0/8, fd12::/16'); // ['10.0.0.0/8', 'fd12::/16']
 */
export function parseCidrs(text: string): string[] {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  for (const entry of entries) parseCidr(entry);
  return entries;
}

function parseCidr(entry: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  const [base = '', bits = '', ...rest] = entry.split('/');
  const maxBits = isIPv6(base) ? 128 : 32;
  const plain = isIP(base) !== 0 && !base.includes('%') && rest.length === 0 && /^\d{1,3}$/.test(bits);
  if (!plain || Number(bits) > maxBits) {
    throw new RangeError(
      `"${entry}" is not a network; write it like 10.0.0.0/8, 10.1.2.3/32 or fd12:3456:789a::/48`,
    );
  }
  const network = ipaddr.parse(base);
  if (network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress()) {
    throw new RangeError(
      `"${entry}" is an IPv4 network in IPv6 form; write the IPv4 network, it covers both`,
    );
  }
  return [network, Number(bits)];
}

/** Refuses text that the URL parser would repair silently: another program might read it as another URL. */
function checkUrlText(text: string): UrlVerdict | undefined {
  if (text.length > maxUrlCharacters) {
    return refuse('url_too_long', `A URL has at most ${maxUrlCharacters} characters.`);
  }
  // oxlint-disable-next-line no-control-regex -- it looks for control characters
  if (/[\u0000-\u0020\u007f]/.test(text)) {
    return refuse('url_invalid', 'Remove the white space and control characters, or percent-encode them.');
  }
  if (text.includes('#'))
    return refuse('url_fragment', 'Remove the # and the text after it; it is never sent.');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'https' && scheme !== 'http') {
    return refuse('url_scheme', 'The URL must begin with https://.');
  }
  const authority = /^https?:\/\/([^/?\\]+)[^?\\]*(?:\?|$)/i.exec(text)?.[1];
  if (authority === undefined) return refuse('url_invalid', 'This is not a URL; write https://host/path.');
  if (authority.includes('@')) {
    return refuse('url_credentials', 'Remove user name and password; verify the signature instead.');
  }
  return undefined;
}

function mayNameHost(
  hostname: string,
  production: boolean,
  checkAddress: AddressGuard['checkAddress'],
): boolean {
  const literal = withoutBrackets(hostname);
  if (isIP(literal) !== 0) return checkAddress(literal, hostname);
  if (hostname === 'localhost') return !production;
  return !/(^|\.)localhost\.?$/.test(hostname);
}

function refuse(code: UrlFaultCode, message: string): UrlVerdict {
  return { ok: false, code, message };
}
