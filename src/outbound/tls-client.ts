import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { LRUCache } from 'lru-cache';

/** Each is some kilobytes. */
const maxSessions = 1_000;

/**
 * Makes the function that begins TLS on a connected socket, for HTTP/1.1. The certificate must be valid for `host`; an IP
 * address has no server name (RFC 6066, 3). Sessions are kept, so that the next connection to a host costs less: Node
 * gives them out only once the certificate was verified, which it does not do again for a resumed one.
 *
 * @param ca PEM certificates to trust instead of Node's own
 * @example createTlsClient()(socket, 'example.com').once('secureConnect', onSecure).once('error', onError);
 */
export function createTlsClient(ca?: string): (socket: Socket, host: string) => TLSSocket {
  const sessions = new LRUCache<string, Buffer>({ max: maxSessions });
  return (socket, host) => {
    const session = sessions.get(host);
    const secured = connect({
      socket,
      host,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca }),
      ...(session === undefined ? {} : { session }),
    });
    secured.on('session', (next: Buffer) => sessions.set(host, next));
    return secured;
  };
}
