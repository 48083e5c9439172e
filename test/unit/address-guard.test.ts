import * as fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { settingsTable } from '../../src/config.ts';
import { createAddressGuard, parseCidrs, type AddressGuard } from '../../src/outbound/address-guard.ts';
import { findHostFault } from '../../src/outbound/host-faults.ts';

const production = createAddressGuard({ production: true, allowedCidrs: [] });
const development = createAddressGuard({ production: false, allowedCidrs: [] });

function verdict(guard: AddressGuard, url: string): string {
  const checked = guard.checkUrl(url);
  return checked.ok ? 'ok' : checked.code;
}

describe('the text of a URL', () => {
  test.each([
    ['https://example.com/events?a=1', 'ok'],
    ['https://example.com:8443/events', 'ok'],
    ['HTTPS://EXAMPLE.COM/', 'ok'],
    ['https://bücher.example/', 'ok'],
    ['https://example.com/?mail=a@b.c', 'ok'],
    ['https://example.com?a=\\', 'ok'],
    ['', 'url_invalid'],
    ['example.com', 'url_invalid'],
    ['https://', 'url_invalid'],
    ['https:example.com', 'url_invalid'],
    ['https:///example.com', 'url_invalid'],
    ['https:\\\\example.com', 'url_invalid'],
    ['https://example.com\\@evil.example/', 'url_invalid'],
    ['https://exam ple.com/', 'url_invalid'],
    [' https://example.com/', 'url_invalid'],
    ['https://example.com/\n', 'url_invalid'],
    ['ht\ttps://example.com/', 'url_invalid'],
    ['https://exa\tmple.com/', 'url_invalid'],
    ['https://example.com/\u0000', 'url_invalid'],
    ['https://example.com:99999/', 'url_invalid'],
    ['https://[::1/', 'url_invalid'],
    ['https://example.com:0/', 'url_port'],
    ['https://user:secret@example.com/', 'url_credentials'],
    ['https://user@example.com/', 'url_credentials'],
    ['https://@example.com/', 'url_credentials'],
    ['https://:@example.com/', 'url_credentials'],
    ['https://example.com/#top', 'url_fragment'],
    ['https://example.com/#', 'url_fragment'],
    ['ftp://example.com/', 'url_scheme'],
    ['javascript:alert(1)', 'url_scheme'],
    ['file:///etc/passwd', 'url_scheme'],
    ['http://example.com/', 'url_scheme'],
  ])('%j is %s, in production and outside', (url, expected) => {
    expect(verdict(production, url)).toBe(expected);
    expect(verdict(development, url)).toBe(expected);
  });

  test('a URL of 2,048 characters is accepted, one of 2,049 is not', () => {
    const url = 'https://example.com/'.padEnd(2048, 'a');
    expect(verdict(production, url)).toBe('ok');
    expect(verdict(production, `${url}a`)).toBe('url_too_long');
  });

  test('the refusal of a URL contains the remedy', () => {
    expect(production.checkUrl('http://example.com/')).toEqual({
      ok: false,
      code: 'url_scheme',
      message: 'Use https.',
    });
  });
});

describe('a host that can never be found', () => {
  const longest = `${'abcd.'.repeat(49)}abcdefgh`;
  test.each([
    ['https://{host}/', /may not contain "\{"/],
    ['https://$HOST/', /may not contain "\$"/],
    ['https://*.example.com/', /may not contain "\*".*wildcard/],
    ['https://a,b.example.com/', /may not contain ","/],
    ['https://a..b/', /nothing before, after or between its dots/],
    ['https://./', /nothing before, after or between its dots/],
    ['https://.example.com/', /nothing before, after or between its dots/],
    ['https://example.com../', /nothing before, after or between its dots/],
    [`https://${'a'.repeat(64)}.example.com/`, /64 characters long.*at most 63/],
    [`https://${longest}i/`, /254 characters long.*at most 253/],
  ])('%s is named, with its fault', (url, fault) => {
    expect(verdict(production, url)).toBe('ok');
    expect(findHostFault(new URL(url).hostname)).toMatch(fault);
  });

  test.each([
    'https://example.com/',
    'https://example.com./',
    'https://a_b.example.com/',
    'https://münchen.example/',
    'https://localhost/',
    'https://1.2.3.4/',
    'https://[2600::1]/',
    `https://${'a'.repeat(63)}.example.com/`,
    `https://${longest}/`,
  ])('%s has no such fault', (url) => {
    expect(findHostFault(new URL(url).hostname)).toBeNull();
  });
});

describe('loopback', () => {
  test.each([
    'http://localhost/',
    'http://LOCALHOST:3000/events',
    'http://127.0.0.1:3000/',
    'http://[::1]:3000/',
    'https://localhost/',
    'https://127.0.0.1/',
    'https://[0:0:0:0:0:0:0:1]/',
    // The parser reads these as 127.0.0.1.
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://127.0.0.1./',
  ])('%s is a target outside production only', (url) => {
    expect(verdict(development, url)).toBe('ok');
    expect(verdict(production, url)).toBe('url_blocked_address');
  });

  test.each([
    'http://127.0.0.2/',
    'https://127.0.0.2/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://localhost./',
    'https://foo.localhost/',
    'https://foo.localhost./',
    'http://foo.localhost/',
    'https://0.0.0.0/',
    'https://[::]/',
  ])('%s never is', (url) => {
    expect(verdict(development, url)).toBe('url_blocked_address');
    expect(verdict(production, url)).toBe('url_blocked_address');
    const open = createAddressGuard({ production: false, allowedCidrs: ['0.0.0.0/0', '::/0'] });
    expect(verdict(open, url)).toBe('url_blocked_address');
  });

  test('an address of loopback is accepted for the three host spellings only, outside production only', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      expect(development.checkAddress('127.0.0.1', host)).toBe(true);
      expect(development.checkAddress('::1', host)).toBe(true);
      expect(development.checkAddress('127.0.0.2', host)).toBe(false);
      expect(development.checkAddress('93.184.216.34', host)).toBe(false);
      expect(production.checkAddress('127.0.0.1', host)).toBe(false);
    }
    for (const host of ['example.com', 'localhost.', 'foo.localhost', '127.0.0.2']) {
      expect(development.checkAddress('127.0.0.1', host)).toBe(false);
      expect(development.checkAddress('::1', host)).toBe(false);
    }
  });
});

const refused = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1',
  '100.127.255.255',
  '127.0.0.1',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::10.0.0.1',
  '::93.184.216.34',
  '::ffff:10.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:169.254.169.254',
  '::ffff:0:10.0.0.1',
  '64:ff9b::a00:1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::5db8:d822',
  '2001::1',
  '2001:0:4136:e378:8000:63bf:3fff:fdd2',
  '2002:a00:1::',
  '2002:5db8:d822::1',
  '2001:db8::1',
  '3fff::1',
  '100::1',
  '5f00::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fec0::1',
  'ff02::1',
  '4000::1',
  'e000::1',
];
const accepted = [
  '93.184.216.34',
  '1.1.1.1',
  '8.8.8.8',
  '172.32.0.1',
  '100.128.0.1',
  '2606:2800:220:1::1',
  '2a00:1450:4001::1',
  '::ffff:93.184.216.34',
  '64:ff9b::5db8:d822',
];

describe('addresses', () => {
  test.each(refused)('%s is refused as a literal, as a resolved address and as a peer', (address) => {
    const host = address.includes(':') ? `[${address}]` : address;
    expect(production.checkAddress(address, 'example.com')).toBe(false);
    expect(development.checkAddress(address, 'example.com')).toBe(false);
    expect(verdict(production, `https://${host}/`)).toBe('url_blocked_address');
  });

  test.each(accepted)('%s is accepted', (address) => {
    const host = address.includes(':') ? `[${address}]` : address;
    expect(production.checkAddress(address, 'example.com')).toBe(true);
    expect(verdict(production, `https://${host}/`)).toBe('ok');
    expect(verdict(development, `http://${host}/`)).toBe('url_scheme');
  });

  test.each(['', 'example.com', '010.0.0.1', '0x5db8d822', '1572395042', '2606:2800:220:1::1%eth0', '1.1.1'])(
    '%j is not an address',
    (address) => {
      expect(production.checkAddress(address, 'example.com')).toBe(false);
    },
  );

  test('no address outside ipaddr.js’ unicast is accepted, in any form', () => {
    const ipv4 = fc
      .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
      .map((octets) => octets.join('.'));
    const group = fc.oneof(
      fc.nat(0xffff),
      fc.constantFrom(0, 0xffff, 0x2002, 0x64, 0xff9b, 0x7f00, 0xa00, 1),
    );
    const ipv6 = fc
      .tuple(group, group, group, group, group, group, group, group)
      .map((parts) => new ipaddr.IPv6(parts).toString());
    const prefixed = fc
      .tuple(fc.constantFrom('::', '::ffff:', '::ffff:0:', '64:ff9b::', '2002::'), ipv4)
      .map(([prefix, address]) => prefix + address);
    fc.assert(
      fc.property(
        fc.oneof(ipv4, ipv6, prefixed),
        fc.constantFrom(production, development),
        (address, guard) => {
          if (!guard.checkAddress(address, 'example.com')) return;
          const ip = ipaddr.process(address);
          const inner = /^64:ff9b::(.+)/.test(ip.toString())
            ? new ipaddr.IPv4(ip.toByteArray().slice(12))
            : ip;
          expect(inner.range()).toBe('unicast');
        },
      ),
      { numRuns: 20_000 },
    );
  });
});

describe('allowed networks', () => {
  const guard = createAddressGuard({ production: true, allowedCidrs: ['10.20.0.0/16', 'fd12::/16'] });

  test('allowed networks cover their own addresses to the edge, also in mapped form, and nothing else', () => {
    expect(guard.checkAddress('10.20.0.0', 'receiver.internal')).toBe(true);
    expect(guard.checkAddress('10.20.255.255', 'receiver.internal')).toBe(true);
    expect(guard.checkAddress('::ffff:10.20.1.1', 'receiver.internal')).toBe(true);
    expect(guard.checkAddress('fd12:ffff::1', 'receiver.internal')).toBe(true);
    expect(guard.checkAddress('10.19.255.255', 'receiver.internal')).toBe(false);
    expect(guard.checkAddress('10.21.0.0', 'receiver.internal')).toBe(false);
    expect(guard.checkAddress('fd13::1', 'receiver.internal')).toBe(false);
    expect(guard.checkAddress('64:ff9b::a14:1', 'receiver.internal')).toBe(false);
    expect(verdict(guard, 'https://10.20.1.1/')).toBe('ok');
    expect(verdict(guard, 'http://10.20.1.1/')).toBe('url_scheme');
    expect(guard.checkAddress('93.184.216.34', 'example.com')).toBe(true);
  });

  test('allowed networks never open loopback, link-local, multicast, unspecified or tunnelled addresses', () => {
    for (const isProduction of [true, false]) {
      const open = createAddressGuard({ production: isProduction, allowedCidrs: ['0.0.0.0/0', '::/0'] });
      expect(open.checkAddress('10.0.0.1', 'example.com')).toBe(true);
      expect(open.checkAddress('fd00::1', 'example.com')).toBe(true);
      for (const address of [
        '127.0.0.1',
        '::1',
        '0.0.0.0',
        '::',
        '224.0.0.1',
        'ff02::1',
        '255.255.255.255',
        '169.254.169.254',
        'fe80::1',
        '::ffff:127.0.0.1',
        '::127.0.0.1',
        '64:ff9b::7f00:1',
        '64:ff9b:1::7f00:1',
        '2002:7f00:1::',
        '2001:0:4136:e378:8000:63bf:80ff:fffe',
      ]) {
        expect(open.checkAddress(address, 'example.com'), address).toBe(false);
      }
    }
  });

  // Each stands in a network that some of these settings name.
  const metadata = [
    '169.254.169.254',
    '169.254.170.2',
    'fe80::a9fe:a9fe',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'FD00:EC2:0:0:0:0:0:254',
    'fd20:ce::254',
    'fd20:00ce:0000:0000:0000:0000:0000:0254',
    'fd00:c1::a9fe:a9fe',
    'fd00:a9fe:a9fe::1',
    'fd00:42::42',
    'fd00:100::100:200',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '240.0.0.1',
    '254.255.255.255',
  ];
  // As mapped, compatible and translated addresses, by both NAT64 prefixes, by 6to4 and by Teredo.
  const spellings = metadata
    .filter((address) => !address.includes(':'))
    .flatMap((address) => {
      const hex = (flip: number) => {
        const bytes = address.split('.').map((octet) => (Number(octet) ^ flip).toString(16).padStart(2, '0'));
        return `${bytes[0]}${bytes[1]}:${bytes[2]}${bytes[3]}`;
      };
      return [
        `::ffff:${address}`,
        `::ffff:${hex(0)}`,
        `::${address}`,
        `::ffff:0:${address}`,
        `64:ff9b::${address}`,
        `64:ff9b:1::${address}`,
        `2002:${hex(0)}::1`,
        `2001:0:4136:e378:8000:63bf:${hex(0xff)}`,
      ];
    });
  const settings = [
    [],
    ['fd00::/8'],
    ['fd00::/8', '100.64.0.0/10', '192.0.0.0/24', '168.63.129.16/32', 'fd20:ce::254/128', '240.0.0.0/4'],
    ['0.0.0.0/0', '::/0'],
  ];

  test.each([...metadata, ...spellings])(
    'allowed networks never open the metadata service at %s',
    (address) => {
      const host = address.includes(':') ? `[${address}]` : address;
      for (const allowedCidrs of settings)
        for (const isProduction of [true, false]) {
          const open = createAddressGuard({ production: isProduction, allowedCidrs });
          expect([allowedCidrs, open.checkAddress(address, 'example.com')]).toEqual([allowedCidrs, false]);
          expect([allowedCidrs, verdict(open, `https://${host}/`)]).toEqual([
            allowedCidrs,
            'url_blocked_address',
          ]);
        }
    },
  );

  test.each([
    'https://2822734096/',
    'https://0xa8.0x3f.0x81.0x10/',
    'https://168.63.33040/',
    'https://1684301000/',
    'https://0144.0144.0144.0310/',
    'https://100.100.100.200./',
    'https://[FD00:0EC2:0000::0254]/',
  ])('never open one that is spelled %s', (url) => {
    for (const allowedCidrs of settings)
      expect(verdict(createAddressGuard({ production: true, allowedCidrs }), url)).toBe(
        'url_blocked_address',
      );
  });

  test('allowed networks still open the addresses beside a metadata service', () => {
    const open = createAddressGuard({ production: true, allowedCidrs: ['fd00::/8', '100.64.0.0/10'] });
    for (const address of ['fd20:ce::253', 'fd12:3456:789a::1', '100.100.100.201', '100.64.0.1'])
      expect([address, open.checkAddress(address, 'example.com')]).toEqual([address, true]);
  });

  test("README's example opens no metadata service", () => {
    const { meaning = '' } = settingsTable().find(({ name }) => name === 'FLTR_ALLOWED_CIDRS') ?? {};
    const [example = ''] = /\d\S*\/\d+,\S+\/\d+/.exec(meaning) ?? [];
    const networks = parseCidrs(example).map((cidr) => ipaddr.parseCIDR(cidr));
    expect(networks).toHaveLength(2);
    for (const address of metadata) {
      const ip = ipaddr.parse(address);
      for (const network of networks)
        expect([address, ip.kind() === network[0].kind() && ip.match(network)]).toEqual([address, false]);
    }
  });

  test('allowed networks are read from a list', () => {
    expect(parseCidrs('')).toEqual([]);
    expect(parseCidrs(' 10.0.0.0/8,fd12:3456:789a::/48\n192.168.1.1/32 , ')).toEqual([
      '10.0.0.0/8',
      'fd12:3456:789a::/48',
      '192.168.1.1/32',
    ]);
  });

  test.each([
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '10.0.0.0/255.0.0.0',
    'fd00::/129',
    'fe80::1%eth0/64',
    'example.com/8',
    '::ffff:10.0.0.0/104',
  ])('%s is named as no network', (entry) => {
    expect(() => parseCidrs(`10.0.0.0/8, ${entry}`)).toThrow(`"${entry}"`);
    expect(() => createAddressGuard({ production: true, allowedCidrs: [entry] })).toThrow(RangeError);
  });
});
