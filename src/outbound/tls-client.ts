import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { LRUCache } from 'lru-cache';
import type { ClientIdentity } from './client-certificate.ts';

/** Each is some kilobytes. */
const maxSessions = 1_000;

/**
 * Makes the function that begins TLS on a connected socket, for HTTP/1.1. The certificate must be valid for `host`; an IP
 * address has no server name (RFC 6066, 3). Sessions are kept, so that the next connection to a host costs less: Node
 * gives them out only once the certificate was verified, which it does not do again for a resumed one. A session stands
 * for the client's certificate, too: it is resumed with the same one only.
 *
 * @param ca PEM certificates to trust instead of Node's own
 * @example createTlsClient()(socket, 'example.com').once('secureConnect', onSecure).once('error', onError);
 */
export function createTlsClient(
  ca?: string,
): (socket: Socket, host: string, identity?: ClientIdentity) => TLSSocket {
  const sessions = new LRUCache<string, Buffer>({ max: maxSessions });
  return (socket, host, identity) => {
    const key = `${host} ${identity?.id ?? ''}`;
    const session = sessions.get(key);
    const secured = connect({
      socket,
      host,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
      // It has authorities of its own.
      ...(identity === undefined ? {} : { secureContext: identity.context }),
      ...(ca === undefined || identity !== undefined ? {} : { ca }),
      ...(session === undefined ? {} : { session }),
    });
    secured.on('session', (next: Buffer) => sessions.set(key, next));
    return secured;
  };
}
