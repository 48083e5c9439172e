import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { onTestFinished } from 'vitest';

const typeA = 1;
const typeAaaa = 28;
const codes = { servfail: 2, nxdomain: 3, refused: 5 } as const;

/** Addresses of both families (those of the wrong one are left out), a failure, or no response at all. */
export type Reply = string[] | keyof typeof codes | 'silence';

export type NameServer = {
  /** For the sender. */
  nameServers: string[];
  /** The names of the queries for IPv4 addresses. */
  queries: string[];
};

/** A name server on 127.0.0.1 until the test ends. `replyTo` decides each response; none may be kept (TTL 0). */
export async function startNameServer(
  replyTo: (name: string, earlierQueries: number, family: 4 | 6) => Reply,
): Promise<NameServer> {
  const queries: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    // Both families are queried side by side, AAAA first.
    const earlier = queries.filter((each) => each === name).length;
    if (type === typeA) queries.push(name);
    const reply = replyTo(name, earlier, type === typeAaaa ? 6 : 4);
    if (reply === 'silence') return;
    const addresses = typeof reply === 'string' ? [] : reply;
    const records = addresses
      .filter((found) => isIPv6(found) === (type === typeAaaa))
      .map((found) => record(type, found));
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 + (typeof reply === 'string' ? codes[reply] : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    socket.send(Buffer.concat([header, query.subarray(12, end + 4), ...records]), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return { nameServers: [`127.0.0.1:${socket.address().port}`], queries };
}

function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

/** Name (a pointer to the question's), type, class, TTL 0, length, address. */
function record(type: number, address: string): Buffer {
  const bytes = addressBytes(address);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(bytes.length, 10);
  return Buffer.concat([head, bytes]);
}

function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  // The URL parser writes an embedded IPv4 address in hex.
  const [before = '', after = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string) => text.split(':').filter((group) => group !== '');
  const [head, tail] = [groups(before), groups(after)];
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return Buffer.from([...head, ...zeros, ...tail].map((group) => group.padStart(4, '0')).join(''), 'hex');
}
