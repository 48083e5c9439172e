import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createAddressGuard, type AddressGuard } from '../../src/outbound/address-guard.ts';
import { createHostNames, type HostNames } from '../../src/outbound/host-names.ts';
import { startProgress } from '../../src/outbound/progress.ts';
import type { Lookup } from '../../src/outbound/resolver.ts';
import { createSender, type SenderOptions } from '../../src/outbound/sender.ts';
import { useFakeClock } from '../kit/fake-clock.ts';
import { lookupOf } from '../kit/lookups.ts';
import { startNameServer } from '../kit/name-server.ts';
import { makeCertificate, startReceiver } from '../kit/raw-receiver.ts';

const guard = createAddressGuard({ production: false, allowedCidrs: [] });
const address = '93.184.216.34';

function makeSender(options: Partial<SenderOptions>): (url: string) => Promise<string | number> {
  const sender = createSender({ guard, timeoutMs: 3_000, ...options });
  onTestFinished(() => sender.close());
  return async (url) => {
    const result = await sender.send({ url, accountId: 'acc_1', headers: {}, body: Buffer.from('{}') });
    return result.kind === 'responded' ? result.statusCode : result.code;
  };
}

const addressesOf = (found: readonly LookupAddress[]): string[] => found.map(({ address }) => address);

describe('the addresses of names', () => {
  const makeNames = ({ lookup, keepMs }: { lookup: Lookup; keepMs: number }) =>
    createHostNames({ lookup, keepMs, limitMs: 5_000 });
  const findAll = async (names: HostNames, host: string) => {
    const { progress, stop } = startProgress(5_000);
    const wait = await names.prepare(host, { accountId: 'acc_1', isTest: false }, progress);
    return wait(progress).finally(stop);
  };
  const find = async (names: HostNames, host: string) => addressesOf(await findAll(names, host));

  test('the addresses of a name are cached for a while and no longer', async () => {
    useFakeClock();
    const { lookup, hosts } = lookupOf(['192.0.2.1'], ['192.0.2.2']);
    const names = makeNames({ lookup, keepMs: 5_000 });
    expect(await find(names, 'a.example')).toEqual(['192.0.2.1']);
    vi.advanceTimersByTime(4_999);
    expect(await find(names, 'a.example')).toEqual(['192.0.2.1']);
    expect(hosts).toHaveLength(1);
    vi.advanceTimersByTime(2);
    expect(await find(names, 'a.example')).toEqual(['192.0.2.2']);
    expect(hosts).toHaveLength(2);
  });

  test('a lookup that failed or found nothing is not cached', async () => {
    const { lookup, hosts } = lookupOf(new Error('no name server'), [], [address]);
    const names = makeNames({ lookup, keepMs: 60_000 });
    await expect(findAll(names, 'a.example')).rejects.toThrow('no name server');
    expect(await find(names, 'a.example')).toEqual([]);
    expect(await find(names, 'a.example')).toEqual([address]);
    expect(await find(names, 'a.example')).toEqual([address]);
    expect(hosts).toHaveLength(3);
  });

  test('the cache has the addresses of 1,000 hosts at most, and drops the one used longest ago first', async () => {
    const { lookup, hosts } = lookupOf([address]);
    const names = makeNames({ lookup, keepMs: 60_000 });
    for (let n = 0; n < 1000; n += 1) await findAll(names, `${n}.example`);
    await findAll(names, '0.example');
    expect(hosts).toHaveLength(1000);
    await findAll(names, '1000.example');
    expect(hosts).toHaveLength(1001);
    await findAll(names, '0.example');
    await findAll(names, '2.example');
    await findAll(names, '1000.example');
    expect(hosts).toHaveLength(1001);
    await findAll(names, '1.example');
    expect(hosts.at(-1)).toBe('1.example');
    expect(hosts).toHaveLength(1002);
  });

  test('cached addresses are dropped on demand, but not newer ones', async () => {
    const { lookup, hosts } = lookupOf(['192.0.2.1'], ['192.0.2.2'], ['192.0.2.3']);
    const names = makeNames({ lookup, keepMs: 60_000 });
    const first = await findAll(names, 'a.example');
    names.forget('a.example', first);
    expect(await find(names, 'a.example')).toEqual(['192.0.2.2']);
    names.forget('a.example', first);
    expect(await find(names, 'a.example')).toEqual(['192.0.2.2']);
    expect(hosts).toHaveLength(2);
  });
});

test('a receiver that keeps no connection costs one lookup, not one for each attempt', async () => {
  const { port, connectionCount } = await startReceiver((_request, response) => {
    response.setHeader('Connection', 'close').end();
  });
  const { lookup, hosts } = lookupOf(['127.0.0.1']);
  const send = makeSender({ lookup, keepNamesMs: 60_000 });
  for (let n = 0; n < 10; n += 1) expect(await send(`http://localhost:${port}/`)).toBe(200);
  expect(hosts).toEqual(['localhost']);
  expect(connectionCount()).toBe(10);
});

test('after a connection that failed the name is looked up again', async () => {
  const certificate = makeCertificate(['localhost']);
  const stranger = makeCertificate(['localhost']);
  const { port } = await startReceiver((_request, response) => void response.end(), certificate);
  const url = `https://localhost:${port}/`;
  // Nothing listens at the first address; the second one belongs to somebody with another certificate.
  const refused = lookupOf(['::1'], ['127.0.0.1']);
  const send = makeSender({ lookup: refused.lookup, ca: certificate.cert, keepNamesMs: 60_000 });
  expect(['connection_refused', 'host_unreachable']).toContain(await send(url));
  expect(await send(url)).toBe(200);
  expect(refused.hosts).toHaveLength(2);
  const distrusted = lookupOf(['127.0.0.1']);
  const sendDistrusting = makeSender({
    lookup: distrusted.lookup,
    ca: stranger.cert,
    keepNamesMs: 60_000,
  });
  expect(await sendDistrusting(url)).toBe('tls_certificate');
  expect(await sendDistrusting(url)).toBe('tls_certificate');
  expect(distrusted.hosts).toHaveLength(2);
});

describe.runIf(process.platform === 'linux')('a name that is pointed to this machine', () => {
  const production = createAddressGuard({ production: true, allowedCidrs: [] });
  // Stands for a public address, so that nothing leaves this machine.
  const publicAddress = '127.0.0.77';
  const judging: AddressGuard = {
    ...production,
    checkAddress: (found, host) => found === publicAddress || production.checkAddress(found, host),
  };

  async function startBoth() {
    const certificate = makeCertificate(['rebind.example']);
    const victim = await startReceiver((_request, response) => void response.end(), certificate);
    const publicServer = createServer(certificate, (_request, response) => {
      response.setHeader('Connection', 'close').end();
    });
    publicServer.listen(victim.port, publicAddress);
    await once(publicServer, 'listening');
    onTestFinished(() => void publicServer.close());
    return { victim, publicServer, ca: certificate.cert, url: `https://rebind.example:${victim.port}/` };
  }

  test('a name that moves to this machine reaches its judged address while it is cached, and afterwards nothing', async () => {
    const { victim, ca, url } = await startBoth();
    const { nameServers, queries } = await startNameServer((_name, earlier) =>
      earlier === 0 ? [publicAddress] : ['127.0.0.1'],
    );
    const send = makeSender({ guard: judging, nameServers, ca, keepNamesMs: 500 });
    expect(await send(url)).toBe(200);
    const outcomes = new Set<string | number>();
    await expect
      .poll(async () => {
        const outcome = await send(url);
        outcomes.add(outcome);
        return outcome;
      })
      .toBe('blocked_address');
    expect([...outcomes].filter((outcome) => outcome !== 200)).toEqual(['blocked_address']);
    expect(queries.length).toBeGreaterThanOrEqual(2);
    // Refused addresses are not kept: each attempt looks the name up, and each is refused.
    const before = queries.length;
    for (let n = 0; n < 3; n += 1) expect(await send(url)).toBe('blocked_address');
    expect(queries).toHaveLength(before + 3);
    expect(victim.connectionCount()).toBe(0);
  });

  test('a loopback address among others is not dialled from the cache, even when the others no longer listen', async () => {
    const { victim, publicServer, ca, url } = await startBoth();
    for (const addresses of [
      ['127.0.0.1', publicAddress],
      [publicAddress, '127.0.0.1'],
    ]) {
      const { lookup, hosts } = lookupOf(addresses);
      const send = makeSender({ guard: judging, lookup, ca, keepNamesMs: 60_000 });
      expect(await send(url)).toBe(200);
      expect(await send(url)).toBe(200);
      expect(hosts).toHaveLength(1);
    }
    const { lookup, hosts } = lookupOf([publicAddress, '127.0.0.1']);
    const send = makeSender({ guard: judging, lookup, ca, keepNamesMs: 60_000 });
    expect(await send(url)).toBe(200);
    publicServer.close();
    publicServer.closeAllConnections();
    expect(await send(url)).toBe('connection_refused');
    expect(hosts).toHaveLength(1);
    expect(victim.connectionCount()).toBe(0);
  });

  test('an address is judged at every connection, also a cached one', async () => {
    const { victim, ca, url } = await startBoth();
    let isRefused = false;
    const judged: string[] = [];
    const changing: AddressGuard = {
      ...judging,
      checkAddress: (found, host) => {
        judged.push(found);
        return !isRefused && judging.checkAddress(found, host);
      },
    };
    const { lookup, hosts } = lookupOf([publicAddress]);
    const send = makeSender({ guard: changing, lookup, ca, keepNamesMs: 60_000 });
    expect(await send(url)).toBe(200);
    expect(await send(url)).toBe(200);
    // The resolved address, then the address of the socket; for each connection.
    expect(judged).toEqual(Array.from({ length: 4 }, () => publicAddress));
    isRefused = true;
    expect(await send(url)).toBe('blocked_address');
    expect(hosts).toHaveLength(1);
    expect(victim.connectionCount()).toBe(0);
  });
});
