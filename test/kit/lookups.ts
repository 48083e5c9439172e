import type { Lookup } from '../../src/outbound/resolver.ts';

/** A lookup that finds each of these in turn, the last one again and again; `hosts` are those looked up. */
export function lookupOf(...found: (string[] | Error)[]): { lookup: Lookup; hosts: string[] } {
  const hosts: string[] = [];
  const lookup: Lookup = (host) => {
    const result = found[Math.min(hosts.length, found.length - 1)] ?? [];
    hosts.push(host);
    return { addresses: resultOf(result), cancel: () => {} };
  };
  return { lookup, hosts };
}

/** A lookup that fails with this code of node:dns. */
export function failingLookup(code: string): Lookup {
  return lookupOf(Object.assign(new Error(`queryA ${code}`), { code, syscall: 'queryA' })).lookup;
}

async function resultOf(found: string[] | Error) {
  if (found instanceof Error) throw found;
  return found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
}
