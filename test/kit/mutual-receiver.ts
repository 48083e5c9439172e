import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import { issueAuthority, issueCertificate } from './certificates.ts';
import type { Certificate } from './raw-receiver.ts';

export type MutualReceiver = {
  url: string;
  /** Its authority, which signed its own certificate, too. */
  ca: string;
  /** Clients with a certificate of that authority. */
  one: Certificate;
  two: Certificate;
  /** Its requests, with the name in the client's certificate. */
  seen: { name: string; path: string }[];
};

type Respond = (path: string, response: ServerResponse) => void;

/**
 * A receiver with https on loopback that requires a client certificate of its own authority; it ends with the test. Without
 * `respond`, it responds with 200.
 */
export async function startMutualReceiver(
  respond: Respond = (_path, response) => response.end(),
): Promise<MutualReceiver> {
  const authority = issueAuthority('own authority');
  const own = issueCertificate({
    commonName: 'localhost',
    extensions: ['extendedKeyUsage=serverAuth', 'subjectAltName=DNS:localhost'],
    issuer: authority,
  });
  const client = (commonName: string) =>
    issueCertificate({ commonName, extensions: ['extendedKeyUsage=clientAuth'], issuer: authority });
  const seen: MutualReceiver['seen'] = [];
  const server = createServer(
    { key: own.key, cert: own.cert, ca: authority.cert, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const name = String((request.socket as TLSSocket).getPeerCertificate().subject?.CN);
      seen.push({ name, path: request.url ?? '' });
      request.resume().on('end', () => respond(request.url ?? '', response));
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://localhost:${port}/mutual`,
    ca: authority.cert,
    one: client('one'),
    two: client('two'),
    seen,
  };
}
