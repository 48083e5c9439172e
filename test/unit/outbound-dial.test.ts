import type { LookupAddress } from 'node:dns';
import { isIPv6 } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createAddressGuard, type AddressGuard } from '../../src/outbound/address-guard.ts';
import { addressOrder } from '../../src/outbound/dial.ts';
import { createSender, type SenderOptions } from '../../src/outbound/sender.ts';
import { lookupOf } from '../kit/lookups.ts';
import { startNameServer } from '../kit/name-server.ts';
import { makeCertificate, startReceiver } from '../kit/raw-receiver.ts';

const guard = createAddressGuard({ production: false, allowedCidrs: [] });
/** In place of public addresses: those of this machine and of networks for documentation. */
const open: AddressGuard = { ...guard, checkAddress: () => true };

async function send(url: string, options: Partial<SenderOptions>): Promise<string | number> {
  const sender = createSender({ guard: open, timeoutMs: 5_000, ...options });
  onTestFinished(() => sender.close());
  const result = await sender.send({ url, accountId: 'acc_1', headers: {}, body: Buffer.from('{}') });
  return result.kind === 'responded' ? result.statusCode : result.code;
}

const manyOf = (count: number, prefix: string): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}${n + 1}`);

test('the two families alternate, the first one’s first, and eight addresses are left', () => {
  const addresses = (found: string[]): LookupAddress[] =>
    found.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
  const ordered = (...found: string[]) => addressOrder(addresses(found)).map(({ address }) => address);
  expect(ordered('::1', '::2', '::3', '10.0.0.1', '10.0.0.2')).toEqual([
    '::1',
    '10.0.0.1',
    '::2',
    '10.0.0.2',
    '::3',
  ]);
  expect(ordered('10.0.0.1', '::1')).toEqual(['10.0.0.1', '::1']);
  expect(ordered(...manyOf(20, '10.0.0.'))).toEqual(manyOf(8, '10.0.0.'));
  expect(ordered(...manyOf(8, '2001:db8::'), '10.0.0.1')).toHaveLength(8);
  expect(ordered(...manyOf(8, '2001:db8::'), '10.0.0.1')[1]).toBe('10.0.0.1');
  expect(ordered()).toEqual([]);
});

test('a name with ten IPv6 addresses that lead nowhere falls back to IPv4', async () => {
  const certificate = makeCertificate(['many.test']);
  const { port } = await startReceiver((_request, response) => void response.end(), certificate);
  const { nameServers } = await startNameServer(() => [...manyOf(10, '2001:db8::'), '127.0.0.1']);
  expect(await send(`https://many.test:${port}/`, { nameServers, ca: certificate.cert })).toBe(200);
});

test('addresses of which none responds do not use up the time before one that does', async () => {
  const certificate = makeCertificate(['holes.test']);
  const { port } = await startReceiver((_request, response) => void response.end(), certificate);
  // A network for documentation: its packets are lost, or refused at once.
  const { lookup } = lookupOf([...manyOf(7, '192.0.2.'), '127.0.0.1']);
  expect(await send(`https://holes.test:${port}/`, { lookup, ca: certificate.cert })).toBe(200);
});

test('of a name with many addresses eight are connected to at most', async () => {
  const { port, connectionCount } = await startReceiver((_request, response) => void response.end());
  const closed = (count: number) => manyOf(count, '127.0.0.1');
  const few = lookupOf([...closed(7), '127.0.0.1']);
  expect(await send(`http://localhost:${port}`, { lookup: few.lookup })).toBe(200);
  const many = lookupOf([...closed(8), '127.0.0.1']);
  expect(await send(`http://localhost:${port}`, { lookup: many.lookup })).toBe('connection_refused');
  expect(connectionCount()).toBe(1);
});

test('the dot at the end of a name is not sent as part of the server name', async () => {
  const certificate = makeCertificate(['dotted.test']);
  const seen: unknown[] = [];
  const { port } = await startReceiver((request, response) => {
    seen.push(Reflect.get(request.socket, 'servername'), request.headers.host);
    response.end();
  }, certificate);
  const { nameServers, queries } = await startNameServer(() => ['127.0.0.1']);
  expect(await send(`https://dotted.test.:${port}/`, { nameServers, ca: certificate.cert })).toBe(200);
  expect(queries).toEqual(['dotted.test']);
  expect(seen).toEqual(['dotted.test', `dotted.test.:${port}`]);
});
