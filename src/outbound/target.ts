import { LRUCache } from 'lru-cache';
import type { AddressGuard } from './address-guard.ts';

/** The parts of the URL of a request. Read once, because a `URL` cuts each part from its text at every read. */
export type Target = Readonly<
  Pick<URL, 'origin' | 'protocol' | 'host' | 'hostname' | 'port' | 'pathname' | 'search'>
>;

/** URLs of at most 2,048 characters each: a few megabytes at most. */
const maxTargets = 1000;

/**
 * Judges URLs as text, as `guard.checkUrl` does, and remembers the allowed ones: a guard judges the same of the
 * same text for as long as it lives. Addresses are not judged here but at each connection.
 *
 * @example createTargets(guard)('https://example.com/webhooks?a=1')?.origin // 'https://example.com'; undefined: refused
 */
export function createTargets(guard: AddressGuard): (url: string) => Target | undefined {
  const known = new LRUCache<string, Target>({ max: maxTargets });
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found;
    const verdict = guard.checkUrl(text);
    if (!verdict.ok) return undefined;
    const { origin, protocol, host, hostname, port, pathname, search } = verdict.url;
    const target = { origin, protocol, host, hostname, port, pathname, search };
    known.set(text, target);
    return target;
  };
}
