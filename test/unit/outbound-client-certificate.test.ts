import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createAddressGuard, type AddressGuard } from '../../src/outbound/address-guard.ts';
import { findCertificateFault } from '../../src/outbound/certificate-faults.ts';
import type { ClientCertificate } from '../../src/outbound/client-certificate.ts';
import { createSender, type SendResult } from '../../src/outbound/sender.ts';
import { issueAuthority, issueCertificate } from '../kit/certificates.ts';
import { lookupOf } from '../kit/lookups.ts';
import { makeCertificate, startReceiver, type Certificate } from '../kit/raw-receiver.ts';

const open: AddressGuard = {
  ...createAddressGuard({ production: false, allowedCidrs: [] }),
  checkAddress: () => true,
};

const issueClient = (commonName: string, issuer: Certificate): Certificate =>
  issueCertificate({ commonName, extensions: ['extendedKeyUsage=clientAuth'], issuer });
const asClient = ({ cert, key }: Certificate, ca?: string): ClientCertificate => ({
  certificate: cert,
  key,
  ca,
});
const outcome = (result: SendResult) =>
  result.kind === 'responded' ? result.statusCode : `${result.code}: ${result.detail ?? ''}`;

function makeSend(port: number, ca?: string) {
  const { lookup } = lookupOf(['127.0.0.1']);
  const sender = createSender({ guard: open, timeoutMs: 5_000, lookup, ca });
  onTestFinished(() => sender.close());
  return async (clientCertificate?: ClientCertificate) => {
    const request = { accountId: 'acc_1', headers: {}, body: Buffer.from('{}'), clientCertificate };
    return outcome(await sender.send({ ...request, url: `https://receiver.test:${port}/` }));
  };
}

/** OpenSSL's own server, which reports why it refuses. */
async function startOpenssl(authority: Certificate, version: 'TLSv1.2' | 'TLSv1.3'): Promise<number> {
  const own = issueServer(authority);
  const folder = mkdtempSync(join(tmpdir(), 'fltr-openssl-'));
  for (const [name, text] of Object.entries({ cert: own.cert, key: own.key, ca: authority.cert }))
    writeFileSync(join(folder, name), text);
  const child = spawn(
    'openssl',
    [
      's_server -accept 127.0.0.1:0 -cert cert -key key -CAfile ca -Verify 1 -verify_return_error',
      version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3',
    ].flatMap((words) => words.split(' ')),
    { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  onTestFinished(() => {
    child.kill();
    rmSync(folder, { recursive: true });
  });
  let output = '';
  return new Promise((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const port = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
  });
}

const issueServer = (issuer: Certificate): Certificate =>
  issueCertificate({
    commonName: 'receiver.test',
    extensions: ['extendedKeyUsage=serverAuth', 'subjectAltName=DNS:receiver.test'],
    issuer,
  });

/** A receiver that knows clients by the names in certificates of its own authority. */
async function startMutual(authority: Certificate, version: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
  const server = issueServer(authority);
  const seen: { name: string; socket: number; isResumed: boolean }[] = [];
  const sockets: TLSSocket[] = [];
  const { port, connectionCount } = await startReceiver(
    (request: IncomingMessage, response) => {
      const socket = request.socket as TLSSocket;
      if (!sockets.includes(socket)) sockets.push(socket);
      const name = String(socket.getPeerCertificate().subject?.CN);
      seen.push({ name, socket: sockets.indexOf(socket), isResumed: socket.isSessionReused() });
      response.end();
    },
    {
      ...server,
      ca: authority.cert,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: version,
      maxVersion: version,
    },
  );
  return { port, seen, connectionCount };
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a receiver that requires a client certificate, by %s',
  (version) => {
    test('gets it, and none of another authority', async () => {
      const authority = issueAuthority('own authority');
      const { port, seen } = await startMutual(authority, version);
      const send = makeSend(port, authority.cert);
      expect(await send(asClient(issueClient('client one', authority)))).toBe(200);
      expect(seen.map(({ name }) => name)).toEqual(['client one']);
      const stranger = issueClient('stranger', issueAuthority('other authority'));
      // Node's server ends the connection without a word.
      expect(await send(asClient(stranger))).toMatch(
        /^connection_closed: .*Perhaps it does not accept the client/,
      );
      expect(
        await makeSend(await startOpenssl(authority, version), authority.cert)(asClient(stranger)),
      ).toMatch(/^tls_failure: TLS: the receiver refuses the client certificate of this webhook\. Check/);
      expect(await send()).toMatch(/this service sends none/);
      expect(seen).toHaveLength(1);
    });
  },
);

test('neither a connection nor a TLS session is shared between certificates', async () => {
  const authority = issueAuthority('own authority');
  const { port, seen, connectionCount } = await startMutual(authority, 'TLSv1.2');
  const send = makeSend(port, authority.cert);
  const [one, two] = ['one', 'two'].map((name) => asClient(issueClient(name, authority)));
  for (const certificate of [one, two, one, two, one]) expect(await send(certificate)).toBe(200);
  expect(seen.map(({ name, socket }) => [name, socket])).toEqual([
    ['one', 0],
    ['two', 1],
    ['one', 0],
    ['two', 1],
    ['one', 0],
  ]);
  expect(connectionCount()).toBe(2);
  expect(seen.some(({ isResumed }) => isResumed)).toBe(false);
  // At the same time: more connections, each with its own certificate.
  await Promise.all([one, two, one, two].map(send));
  expect(connectionCount()).toBe(4);
  const names = new Map<number, Set<string>>();
  for (const { name, socket } of seen) names.set(socket, (names.get(socket) ?? new Set()).add(name));
  for (const ofSocket of names.values()) expect(ofSocket.size).toBe(1);
});

test('with an authority of its own, the receiver is verified by that one alone', async () => {
  const authority = issueAuthority('own authority');
  const { port } = await startMutual(authority);
  const client = issueClient('one', authority);
  // Node's own authorities do not know it.
  const send = makeSend(port);
  expect(await send(asClient(client))).toMatch(/^tls_certificate/);
  expect(await send(asClient(client, authority.cert))).toBe(200);
  expect(await send(asClient(client, issueAuthority('other').cert))).toMatch(/^tls_certificate/);
});

describe('a certificate that cannot be used is refused, in words', () => {
  let authority: Certificate;
  let client: Certificate;
  beforeAll(() => {
    client = makeCertificate(['client.test']);
    authority = makeCertificate(['authority.test']);
  });
  const faultOf = (change: Partial<ClientCertificate>) =>
    findCertificateFault({ ...asClient(client, authority.cert), ...change }, new Date());

  test('a certificate with its key and authority is accepted, also as a chain and with text around it', () => {
    expect(faultOf({})).toBeNull();
    expect(faultOf({ ca: undefined })).toBeNull();
    expect(faultOf({ certificate: `subject=client\n${client.cert}\n${authority.cert}` })).toBeNull();
  });

  test.each<[string, () => Partial<ClientCertificate>, keyof ClientCertificate, RegExp]>([
    ['no PEM', () => ({ certificate: 'MIIB' }), 'certificate', /-----BEGIN CERTIFICATE-----/],
    [
      'cut off',
      () => ({ certificate: client.cert.replace(/\n[^\n]+\n-----END/, '\n-----END') }),
      'certificate',
      /cannot be read.*openssl x509/,
    ],
    ['a key in it', () => ({ certificate: client.cert + client.key }), 'certificate', /private key/],
    [
      'expired',
      () => {
        const expired = makeCertificate(['client.test'], new Date(Date.now() - 1000));
        return { certificate: expired.cert, key: expired.key };
      },
      'certificate',
      /expired/,
    ],
    ['a certificate as key', () => ({ key: client.cert }), 'key', /BEGIN PRIVATE KEY/],
    ['the key of another', () => ({ key: authority.key }), 'key', /does not belong to the certificate/],
    ['an authority that is none', () => ({ ca: 'x' }), 'ca', /BEGIN CERTIFICATE/],
    ['a key as authority', () => ({ ca: client.key }), 'ca', /private key/],
    [
      'a key with a passphrase',
      () => ({
        key: execFileSync('openssl', ['pkey', '-aes256', '-passout', 'pass:secret'], {
          input: client.key,
        }).toString(),
      }),
      'key',
      /passphrase.*openssl pkey/,
    ],
    [
      'a damaged key',
      () => ({ key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----' }),
      'key',
      /cannot be read.*openssl pkey/,
    ],
  ])('%s', (_what, change, part, words) => {
    const found = faultOf(change());
    expect(found?.part).toBe(part);
    expect(found?.message).toMatch(words);
    expect(found?.message).not.toContain(client.key.split('\n')[1]);
  });
});

test('the limit of a request is its own', async () => {
  const receiver = await startReceiver(() => undefined);
  const sender = createSender({ guard: open, timeoutMs: 60_000, longestMs: 60_000 });
  onTestFinished(() => sender.close());
  const request = { accountId: 'acc_1', headers: {}, body: Buffer.from('{}'), url: receiver.origin };
  const result = await sender.send({ ...request, timeoutMs: 300 });
  expect(outcome(result)).toBe('timeout_response: ');
  expect(result.durationMs).toBeGreaterThanOrEqual(295);
  expect(result.durationMs).toBeLessThan(2_000);
});
