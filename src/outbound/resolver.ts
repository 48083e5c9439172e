import { promises, type LookupAddress } from 'node:dns';
import { watchFile } from './file-watch.ts';
import { createHostsFile, systemHostsPath } from './hosts-file.ts';

/** A lookup under way. `addresses` is rejected with the error of node:dns; `cancel` may be called at any time. */
export type RunningLookup = { addresses: Promise<readonly LookupAddress[]>; cancel: () => void };
/** Looks up a host's addresses: a name in lower case, without a dot at its end; no IP literal. */
export type Lookup = (host: string) => RunningLookup;

type ResolverOptions = {
  /** `address` or `address:port`; those of /etc/resolv.conf unless given. */
  nameServers?: readonly string[] | undefined;
  hostsPath?: string | undefined;
};

/**
 * The first wait for a name server, in milliseconds. It doubles each time, to 5 s at most, so six queries take longer than
 * an attempt has. Channels that are used again wait less where the server has been quick.
 */
const queries = { timeout: 1_000, tries: 6 };
/** How long one family's addresses wait for the other family's, in milliseconds (RFC 8305, 3, has 50). */
const graceForIpv6Ms = 250;
/** Longer, because IPv6 alone may lead nowhere: a lost packet is sent again after a second. */
const graceForIpv4Ms = 1_500;
const maxIdleChannels = 64;

const loopback: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/**
 * Makes the function that looks names up: in the hosts file, then `localhost` and `*.localhost`, then with the name servers,
 * AAAA and A side by side. IPv6 addresses come first in the result. Search domains are not used.
 *
 * It uses c-ares, which needs a socket for each lookup. The system's getaddrinfo holds a thread instead, of which a process
 * has four, and cannot be called off: a few names whose servers do not respond would stop all others.
 *
 * Rejected with `ENOTFOUND`, `ENODATA` or `EBADNAME` where there is no such host, `ETIMEOUT` where no name server
 * responded, `ECANCELLED` after `cancel`, or else with the error of the name servers (`ESERVFAIL`, …).
 * Source: RFC 8305, 3 (both families at once); RFC 6761, 6.3 (localhost).
 *
 * @example
 * const lookup = createResolver();
 * const { addresses, cancel } = lookup('example.com');
 * await addresses; // [{ address: '2606:2800:…', family: 6 }, { address: '93.184.216.34', family: 4 }]
 */
export function createResolver({ nameServers, hostsPath = systemHostsPath }: ResolverOptions = {}): Lookup {
  const findInHosts = createHostsFile(hostsPath);
  const channels = createChannels(nameServers);
  return (host) => {
    const known = findInHosts(host) ?? (/(^|\.)localhost$/.test(host) ? loopback : undefined);
    if (known !== undefined) return { addresses: Promise.resolve(known), cancel: () => {} };
    const channel = channels.acquire();
    let isOver = false;
    const end = (): void => {
      // Another lookup may use the channel by now.
      if (isOver) return;
      isOver = true;
      channel.cancel();
      channels.release(channel);
    };
    return { addresses: resolveBoth(channel, host).finally(end), cancel: end };
  };
}

/**
 * Each lookup has a channel of its own, for `cancel` ends all that a channel has under way. They are kept for the next ones:
 * making one reads several files, and one that was used knows which name server does not respond.
 */
function createChannels(nameServers: readonly string[] | undefined) {
  // c-ares reads it when a channel is made.
  const hasChanged = watchFile('/etc/resolv.conf');
  let idle: promises.Resolver[] = [];
  let current = new WeakSet<promises.Resolver>();
  return {
    acquire(): promises.Resolver {
      if (hasChanged()) {
        idle = [];
        current = new WeakSet();
      }
      const kept = idle.pop();
      if (kept !== undefined) return kept;
      const channel = new promises.Resolver(queries);
      if (nameServers !== undefined) channel.setServers(nameServers);
      current.add(channel);
      return channel;
    },
    release(channel: promises.Resolver): void {
      if (current.has(channel) && idle.length < maxIdleChannels) idle.push(channel);
    },
  };
}

type Found = { addresses: LookupAddress[]; error: unknown };

async function resolveBoth(channel: promises.Resolver, host: string): Promise<LookupAddress[]> {
  const ipv6 = toFound(channel.resolve6(host), 6);
  const ipv4 = toFound(channel.resolve4(host), 4);
  const graceMs = await Promise.race([ipv6.then(() => graceForIpv4Ms), ipv4.then(() => graceForIpv6Ms)]);
  const first = await Promise.race([ipv6, ipv4]);
  const isEnough = first.addresses.length > 0;
  const both = await within(Promise.all([ipv6, ipv4]), isEnough ? graceMs : undefined);
  const results = both ?? [first];
  const addresses = results.flatMap((found) => found.addresses);
  if (addresses.length > 0) return addresses;
  throw usefulError(results.map(({ error }) => error));
}

function toFound(query: Promise<string[]>, family: 4 | 6): Promise<Found> {
  return query.then(
    (found) => ({ addresses: found.map((address) => ({ address, family })), error: undefined }),
    (error: unknown) => ({ addresses: [], error }),
  );
}

/** A name that exists nowhere, else why one family could not be looked up, else that it has no addresses. */
function usefulError(errors: unknown[]): unknown {
  const codeOf = (error: unknown): unknown => (error instanceof Error ? Reflect.get(error, 'code') : '');
  return (
    errors.find((error) => codeOf(error) === 'ENOTFOUND') ??
    errors.find((error) => codeOf(error) !== 'ENODATA') ??
    errors[0]
  );
}

/** Undefined: it took longer than `milliseconds`; undefined ones are no limit. */
async function within<T>(promise: Promise<T>, milliseconds: number | undefined): Promise<T | undefined> {
  if (milliseconds === undefined) return promise;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
