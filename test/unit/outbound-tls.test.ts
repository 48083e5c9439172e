import type { RequestListener } from 'node:http';
import type { TlsOptions } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { createAddressGuard, type AddressGuard } from '../../src/outbound/address-guard.ts';
import { createSender } from '../../src/outbound/sender.ts';
import { describeTlsFailure } from '../../src/outbound/tls-failure.ts';
import { issueAuthority, issueCertificate } from '../kit/certificates.ts';
import { lookupOf } from '../kit/lookups.ts';
import { makeCertificate, startRawReceiver, startReceiver, type Certificate } from '../kit/raw-receiver.ts';

const open: AddressGuard = {
  ...createAddressGuard({ production: false, allowedCidrs: [] }),
  checkAddress: () => true,
};

/** The result of an attempt to `https://receiver.test` at a port of this machine. */
async function send(port: number, ca?: string): Promise<{ code: string; detail: string | undefined }> {
  const { lookup } = lookupOf(['127.0.0.1']);
  const sender = createSender({ guard: open, timeoutMs: 5_000, lookup, ca });
  onTestFinished(() => sender.close());
  const request = { accountId: 'acc_1', headers: {}, body: Buffer.from('{}') };
  const result = await sender.send({ ...request, url: `https://receiver.test:${port}/` });
  if (result.kind === 'responded') throw new Error(`response ${result.statusCode}`);
  return { code: result.code, detail: result.detail };
}

async function sendTo(certificate: Certificate & TlsOptions, ca?: string) {
  let requests = 0;
  const listener: RequestListener = (_request, response) => {
    requests += 1;
    response.end();
  };
  const { port } = await startReceiver(listener, certificate);
  const failure = await send(port, ca);
  expect(requests).toBe(0);
  return failure;
}

const hour = 3_600_000;
const serverFor = (name: string) => ['extendedKeyUsage=serverAuth', `subjectAltName=DNS:${name}`];
const says = (code: string, detail: RegExp) => ({ code, detail: expect.stringMatching(detail) as string });

test('a chain without its intermediate certificate is called incomplete; with it, it is taken', async () => {
  const root = issueAuthority('root');
  const between = issueAuthority('between', root);
  const leaf = issueCertificate({
    commonName: 'receiver.test',
    extensions: serverFor('receiver.test'),
    issuer: between,
  });
  expect(await sendTo(leaf, root.cert)).toEqual(says('tls_certificate', /chain is incomplete.*full chain/));
  const { port } = await startReceiver((_request, response) => void response.end(), {
    ...leaf,
    cert: leaf.cert + between.cert,
  });
  await expect(send(port, root.cert)).rejects.toThrow('response 200');
  // With an authority that nobody trusts, its full chain does not help.
  expect(await send(port, issueAuthority('other').cert)).toEqual(
    says('tls_certificate', /not issued by a public certificate authority/),
  );
});

test('expired, not valid yet, and self-signed have different messages', async () => {
  const expired = makeCertificate(['receiver.test'], new Date(Date.now() - hour));
  expect(await sendTo(expired, expired.cert)).toEqual(says('tls_certificate', /has expired.*Renew it/));
  const early = makeCertificate(
    ['receiver.test'],
    new Date(Date.now() + 48 * hour),
    new Date(Date.now() + 24 * hour),
  );
  expect(await sendTo(early, early.cert)).toEqual(says('tls_certificate', /not valid yet/));
  expect(await sendTo(makeCertificate(['receiver.test']))).toEqual(says('tls_certificate', /self-signed/));
});

test('the failure of a certificate for another name lists its names', async () => {
  const misnamed = makeCertificate(['other.test', '*.shop.test']);
  expect(await sendTo(misnamed, misnamed.cert)).toEqual(
    says('tls_certificate', /not for receiver\.test: it is for other\.test, \*\.shop\.test\./),
  );
  const many = makeCertificate(Array.from({ length: 8 }, (_, index) => `n${index}.test`));
  expect(await sendTo(many, many.cert)).toEqual(
    says('tls_certificate', /n0\.test, n1\.test, n2\.test, n3\.test, n4\.test and 3 more/),
  );
  // The text of a certificate is shown to people, in terminals too.
  const forged = makeCertificate(['a\u001b[2Jb.test', 'good.test']);
  expect(await sendTo(forged, forged.cert)).toEqual(says('tls_certificate', /it is for good\.test\./));
});

test('a weak signature, a name outside its authority’s constraints and a wrong purpose have a message each', async () => {
  const root = issueAuthority('root');
  const weak = issueCertificate({
    commonName: 'receiver.test',
    extensions: serverFor('receiver.test'),
    issuer: root,
    digest: 'sha1',
  });
  expect(await sendTo({ ...weak, ciphers: 'DEFAULT@SECLEVEL=0' }, root.cert)).toEqual(
    says('tls_certificate', /too weak a key or signature/),
  );
  const limited = issueAuthority('limited', undefined, 'nameConstraints=permitted;DNS:allowed.test');
  const outside = issueCertificate({
    commonName: 'receiver',
    extensions: serverFor('receiver.test'),
    issuer: limited,
  });
  expect(await sendTo(outside, limited.cert)).toEqual(says('tls_certificate', /name constraints/));
  const client = issueCertificate({
    commonName: 'receiver.test',
    extensions: ['extendedKeyUsage=clientAuth', 'subjectAltName=DNS:receiver.test'],
    issuer: root,
  });
  expect(await sendTo(client, root.cert)).toEqual(says('tls_certificate', /not meant for servers/));
});

// In TLS 1.3 the receiver refuses after the handshake, while the request is sent.
test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a receiver that requires a client certificate, by %s',
  async (version) => {
    const certificate = makeCertificate(['receiver.test']);
    const options = { requestCert: true, rejectUnauthorized: true, minVersion: version, maxVersion: version };
    expect(await sendTo({ ...certificate, ...options }, certificate.cert)).toEqual(
      says('tls_failure', /requires a client certificate, and this service sends none/),
    );
  },
);

test('a receiver without a common TLS version or cipher is reported as such', async () => {
  const certificate = makeCertificate(['receiver.test']);
  const old = {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  } as const;
  expect(await sendTo({ ...certificate, ...old }, certificate.cert)).toEqual(
    says('tls_failure', /TLS 1\.2 or newer is required/),
  );
  const odd = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0' } as const;
  expect(await sendTo({ ...certificate, ...odd }, certificate.cert)).toEqual(
    says('tls_failure', /no TLS version or cipher in common/),
  );
});

test('a port that does not speak TLS is reported as such', async () => {
  const plain = await startReceiver((_request, response) => void response.end());
  expect(await send(plain.port)).toEqual(says('tls_failure', /does not speak TLS: perhaps it is plain HTTP/));
  const other = await startRawReceiver((socket) => {
    socket.once('data', () => socket.write('SSH-2.0-OpenSSH_9.9\r\n'));
  });
  expect(await send(other.port)).toEqual(says('tls_failure', /does not speak TLS/));
});

test('a connection that ends in the TLS handshake is reported as such', async () => {
  const closing = await startRawReceiver((socket) => {
    socket.once('data', () => socket.end());
  });
  expect(await send(closing.port)).toEqual(
    says('connection_closed', /^TLS: the receiver closed the connection during the handshake/),
  );
  const resetting = await startRawReceiver((socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  expect(await send(resetting.port)).toEqual(
    says('connection_reset', /^TLS: the receiver reset the connection during the handshake/),
  );
});

test.each([
  ['UNSPECIFIED', 'CA signature digest algorithm too weak', 'tls_certificate', /too weak/],
  ['CERT_REVOKED', 'certificate revoked', 'tls_certificate', /revoked/],
  ['UNSPECIFIED', 'some \u001b[31mother\nfault', 'tls_certificate', /\(some {2}\[31mother fault\)/],
  ['ERR_SSL_TLSV1_UNRECOGNIZED_NAME', '', 'tls_failure', /no certificate for this host name/],
  ['ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', '', 'tls_failure', /HTTP\/1\.1/],
  ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', '', 'tls_failure', /refused the handshake/],
  ['ERR_SSL_DH_KEY_TOO_SMALL', '', 'tls_failure', /too weak/],
  [
    'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR',
    '',
    'tls_failure',
    /handshake failed \(tlsv1 alert internal error\)/,
  ],
] as const)('%s %s', (code, message, expected, detail) => {
  expect(describeTlsFailure({ code, message }, 'receiver.test')).toEqual(says(expected, detail));
});

test('a failure that is not of TLS gets no TLS message', () => {
  expect(describeTlsFailure({ code: 'ECONNREFUSED', message: 'connect' }, 'receiver.test')).toBeNull();
});
