import { isIP, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * The kind of an address: `public` may be dialled; `private` only where the operator
 * allows its network; `loopback` only for the three local host spellings; `never` by no setting at all.
 */
type IpKind = 'public' | 'private' | 'loopback' | 'never';

// Link-local holds most clouds' metadata services; nothing that receives webhooks lives there.
const neverV4 = new Set(['unspecified', 'multicast', 'broadcast', 'linkLocal']);
/**
 * Networks that no setting allows: the clouds' metadata and host services outside of link-local, because a request to one of
 * these may get the machine's credentials; and 240.0.0.0/4, which nobody may assign.
 */
const neverNetworks = [
  '240.0.0.0/4',
  '100.100.100.200/32', // Alibaba Cloud
  '168.63.129.16/32', // Azure's host agent, in a public range
  '192.0.0.192/32', // Oracle Cloud
  'fd00:ec2::/32', // AWS: metadata, pod identity, DNS, time
  'fd20:ce::254/128', // Google Cloud
  'fd00:c1::a9fe:a9fe/128', // Oracle Cloud
  'fd00:a9fe:a9fe::1/128', // Akamai
  'fd00:42::42/128', // Scaleway
  'fd00:100::100:200/128', // Alibaba Cloud
].map((network) => ipaddr.parseCIDR(network));
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');
const nat64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');

/** The address as ipaddr.js sees it, `::ffff:a.b.c.d` unwrapped; undefined unless it is a plain IP literal. */
export function parseIp(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  // ipaddr.js also reads `0177.1` and zone ids: neither is something that a socket or a lookup reports here.
  if (isIP(address) === 0 || address.includes('%')) return undefined;
  // ipaddr.js reads `::a.b.c.d` as the mapped form, which it is not: let the URL parser write it in hex.
  return ipaddr.process(isIPv6(address) ? withoutBrackets(new URL(`http://[${address}]`).hostname) : address);
}

/** A URL's `hostname` as sockets and lookups expect it: IPv6 literals without their brackets. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

export function judgeIp(ip: ipaddr.IPv4 | ipaddr.IPv6): IpKind {
  return ip instanceof ipaddr.IPv4 ? judgeIpv4(ip) : judgeIpv6(ip);
}

const isNever = (ip: ipaddr.IPv4 | ipaddr.IPv6): boolean =>
  neverNetworks.some((network) => ip.kind() === network[0].kind() && ip.match(network));

function judgeIpv4(ip: ipaddr.IPv4): IpKind {
  const range = ip.range();
  if (isNever(ip)) return 'never';
  if (range === 'unicast') return 'public';
  if (range === 'loopback') return 'loopback';
  return neverV4.has(range) ? 'never' : 'private';
}

function judgeIpv6(ip: ipaddr.IPv6): IpKind {
  const range: string = ip.range();
  if (range === 'loopback') return 'loopback';
  if (isNever(ip)) return 'never';
  if (range === 'uniqueLocal') return 'private';
  // A translator turns 64:ff9b::a.b.c.d into a.b.c.d. IPv6-only networks reach every IPv4 receiver this way.
  if (ip.match(nat64)) {
    const embedded = new ipaddr.IPv4(ip.toByteArray().slice(12));
    return judgeIpv4(embedded) === 'public' ? 'public' : 'never';
  }
  // ipaddr.js calls everything it has no name for unicast, `::10.0.0.1` among it.
  if (!ip.match(globalUnicast)) return 'never';
  if (range === 'unicast') return 'public';
  // These tunnels contain an IPv4 address of the sender's choice.
  return range === '6to4' || range === 'teredo' ? 'never' : 'private';
}
