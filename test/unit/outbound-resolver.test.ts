import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createResolver, type Lookup } from '../../src/outbound/resolver.ts';
import { startNameServer } from '../kit/name-server.ts';

const six = '2001:db8::1';
const four = '192.0.2.1';

async function find(lookup: Lookup, host: string): Promise<string[]> {
  return (await lookup(host).addresses).map(({ address }) => address);
}

function writeHosts(text: string): { path: string; change: (text: string) => void } {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-hosts-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'hosts');
  writeFileSync(path, text);
  return { path, change: (changed) => writeFileSync(path, changed) };
}

test('both families are queried, and IPv6 comes first', async () => {
  const { nameServers } = await startNameServer(() => [four, six]);
  expect(await createResolver({ nameServers })('both.test').addresses).toEqual([
    { address: six, family: 6 },
    { address: four, family: 4 },
  ]);
});

test.each(['nxdomain', 'servfail', 'refused'] as const)(
  'a name of which one family fails (%s) has the other one',
  async (failure) => {
    for (const failing of [4, 6]) {
      const { nameServers } = await startNameServer((_name, _earlier, family) =>
        family === failing ? failure : [four, six],
      );
      expect(await find(createResolver({ nameServers }), 'half.test')).toEqual([failing === 4 ? six : four]);
    }
  },
);

test.each([4, 6] as const)(
  'a name server that is silent about IPv%i does not hide the others',
  async (silent) => {
    const { nameServers } = await startNameServer((_name, _earlier, family) =>
      family === silent ? 'silence' : [four, six],
    );
    const startedAt = performance.now();
    expect(await find(createResolver({ nameServers }), 'half.test')).toEqual([silent === 4 ? six : four]);
    // Six attempts would take 22 s.
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  },
);

test.each([
  ['nxdomain', 'nxdomain', 'ENOTFOUND'],
  ['nxdomain', 'servfail', 'ENOTFOUND'],
  ['nothing', 'nothing', 'ENODATA'],
  ['nothing', 'servfail', 'ESERVFAIL'],
  ['servfail', 'nothing', 'ESERVFAIL'],
] as const)('IPv4: %s, IPv6: %s is %s', async (ipv4, ipv6, code) => {
  const { nameServers } = await startNameServer((_name, _earlier, family) => {
    const reply = family === 4 ? ipv4 : ipv6;
    return reply === 'nothing' ? [] : reply;
  });
  await expect(createResolver({ nameServers })('none.test').addresses).rejects.toMatchObject({ code });
});

test('a lookup that is canceled ends at once, and the next ones are not disturbed', async () => {
  const { nameServers } = await startNameServer((name) => (name === 'silent.test' ? 'silence' : [four]));
  const lookup = createResolver({ nameServers });
  for (let n = 0; n < 3; n += 1) {
    const silent = lookup('silent.test');
    silent.cancel();
    await expect(silent.addresses).rejects.toMatchObject({ code: 'ECANCELLED' });
    const found = lookup('fine.test');
    silent.cancel();
    expect((await found.addresses).map(({ address }) => address)).toEqual([four]);
  }
});

test('a name is looked up as it is, without search domains', async () => {
  const { nameServers, queries } = await startNameServer(() => 'nxdomain');
  await expect(createResolver({ nameServers })('short').addresses).rejects.toThrow();
  expect(queries).toEqual(['short']);
});

test('the hosts file goes before the name servers, and is read again when it has changed', async () => {
  const { nameServers, queries } = await startNameServer(() => [four]);
  const hosts = writeHosts(
    '# comment\n10.0.0.1  Own.Test other.test # mine\n\nnone here.test\nfe80::1%lo0 zone.test\n',
  );
  const lookup = createResolver({ nameServers, hostsPath: hosts.path });
  expect(await find(lookup, 'own.test')).toEqual(['10.0.0.1']);
  expect(await find(lookup, 'other.test')).toEqual(['10.0.0.1']);
  expect(queries).toEqual([]);
  for (const host of ['here.test', 'zone.test', 'comment']) expect(await find(lookup, host)).toEqual([four]);
  hosts.change('10.0.0.2 own.test\nfd00::2 own.test\n10.0.0.2 own.test\n');
  await expect.poll(() => find(lookup, 'own.test')).toEqual(['10.0.0.2', 'fd00::2']);
  expect(await find(lookup, 'other.test')).toEqual([four]);
});

test('of a large hosts file the first MiB counts, without the line that is cut', async () => {
  const { nameServers } = await startNameServer(() => 'nxdomain');
  const line = (n: number) => `10.0.0.1 n${String(n).padStart(20, '0')}.test\n`;
  const { path } = writeHosts(Array.from({ length: 40_000 }, (_, n) => line(n)).join(''));
  const lookup = createResolver({ nameServers, hostsPath: path });
  const last = Math.floor((1024 * 1024) / line(0).length) - 1;
  expect(await find(lookup, `n${String(last).padStart(20, '0')}.test`)).toEqual(['10.0.0.1']);
  await expect(lookup(`n${String(last + 1).padStart(20, '0')}.test`).addresses).rejects.toThrow();
});

test.each(['localhost', 'a.localhost', 'a.b.localhost'])(
  '%s is this machine, even if name servers respond otherwise',
  async (host) => {
    const { nameServers, queries } = await startNameServer(() => [four]);
    const lookup = createResolver({ nameServers, hostsPath: writeHosts('').path });
    expect(await find(lookup, host)).toEqual(['127.0.0.1', '::1']);
    expect(await find(lookup, 'notlocalhost')).toEqual([four]);
    expect(queries).toEqual(['notlocalhost']);
  },
);
