import type { HeaderStyle } from './request-headers.ts';

/** A webhook's own headers, by name as it was given. */
export type CustomHeaders = readonly (readonly [name: string, value: string])[];
type HeaderFault = { name: string; message: string };

const maxCustomHeaders = 20;
/** Of names and values, in bytes. */
const maxHeaderBytes = 8192;

const reservedNames = new Set(
  'connection expect host http2-settings keep-alive te traceparent tracestate trailer transfer-encoding upgrade user-agent'.split(
    ' ',
  ),
);
const reservedPrefixes = ['content-', 'proxy-', 'webhook-'];

/**
 * Whether the service or HTTP itself sets this header, so that a webhook's own must not.
 *
 * @param hasAuthorization the webhook's `auth` sets it
 * @example isReservedHeader('X-FLTR-Event', style, false) // true
 */
function isReservedHeader(
  name: string,
  { prefix }: Pick<HeaderStyle, 'prefix'>,
  hasAuthorization: boolean,
): boolean {
  const lower = name.toLowerCase();
  return (
    reservedNames.has(lower) ||
    [...reservedPrefixes, prefix.toLowerCase()].some((start) => lower.startsWith(start)) ||
    (hasAuthorization && lower === 'authorization')
  );
}

/**
 * The faults of the headers of a policy, as sentences without their subject. No message contains a value.
 *
 * @example findHeaderFaults([['Host', 'a']], style, false) // [{ name: 'Host', message: 'is set by the service …' }]
 */
export function findHeaderFaults(
  headers: CustomHeaders,
  style: Pick<HeaderStyle, 'prefix'>,
  hasAuthorization: boolean,
): HeaderFault[] {
  return headers.flatMap(([name, value]) => {
    const message = faultOf(name, value, style, hasAuthorization);
    return message === null ? [] : [{ name, message }];
  });
}

function faultOf(
  name: string,
  value: string,
  style: Pick<HeaderStyle, 'prefix'>,
  hasAuthorization: boolean,
): string | null {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$/.test(name))
    return 'is not a header name. Use letters, digits and hyphens, at most 200';
  if (isReservedHeader(name, style, hasAuthorization))
    return name.toLowerCase() === 'authorization'
      ? 'is set by the auth of the webhook. Remove one of the two'
      : 'is set by the service or by HTTP. Choose another name';
  if (!/^[\x21-\x7e]+( +[\x21-\x7e]+)*$/.test(value))
    return 'must have visible ASCII characters as its value, with spaces only between them';
  return null;
}

/**
 * The headers after a change: named ones are set, those with `null` removed. Names are compared without regard to case.
 *
 * @example changeHeaders([['X-A', '1'], ['X-B', '2']], { 'x-a': null, 'X-C': '3' }) // [['X-B', '2'], ['X-C', '3']]
 */
export function changeHeaders(
  stored: CustomHeaders,
  change: Readonly<Record<string, string | null>>,
): [string, string][] {
  const named = new Set(Object.keys(change).map((name) => name.toLowerCase()));
  const added = Object.entries(change).filter((entry): entry is [string, string] => entry[1] !== null);
  const left = stored.filter(([name]) => !named.has(name.toLowerCase()));
  return [...left.map(([name, value]): [string, string] => [name, value]), ...added];
}

/**
 * Why so many headers are too many, or name one twice; null: they are not. As a sentence without its subject.
 *
 * @example findFaultOfAll([['X-A', '1'], ['x-a', '2']]) // 'must not name a header twice: X-A and x-a are the same one'
 */
export function findFaultOfAll(headers: CustomHeaders): string | null {
  if (headers.length > maxCustomHeaders) return `must have at most ${maxCustomHeaders} headers`;
  // As in a request: a colon, a space and the end of the line.
  const bytes = headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
  if (bytes > maxHeaderBytes)
    return `must have at most 8 KiB (${maxHeaderBytes} bytes) of names and values in all, with 4 more for each header`;
  const seen = new Map<string, string>();
  for (const [name] of headers) {
    const lower = name.toLowerCase();
    const first = seen.get(lower);
    if (first !== undefined)
      return `must not name a header twice: ${first} and ${name} differ in their case only`;
    seen.set(lower, name);
  }
  return null;
}

/**
 * The headers that are sent of a webhook's own. One that the service sets by now is left out: its prefix may have changed.
 *
 * @example allowedHeaders([['X-Api-Key', 'k'], ['X-FLTR-Event', 'e']], style, false) // { 'X-Api-Key': 'k' }
 */
export function allowedHeaders(
  custom: CustomHeaders,
  style: Pick<HeaderStyle, 'prefix'>,
  hasAuthorization: boolean,
): Record<string, string> {
  return Object.fromEntries(custom.filter(([name]) => !isReservedHeader(name, style, hasAuthorization)));
}
