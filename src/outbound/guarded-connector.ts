import type { LookupAddress } from 'node:dns';
import { isIP, type Socket } from 'node:net';
import type { AddressGuard } from './address-guard.ts';
import { AttemptFailure, toHandshakeFailure } from './attempt-failure.ts';
import type { ClientIdentity } from './client-certificate.ts';
import { addressOrder, dial } from './dial.ts';
import { createHostNames, type Client, type FindAddresses } from './host-names.ts';
import { withoutBrackets } from './judge-ip.ts';
import { untilEnded, type Progress } from './progress.ts';
import { createResolver, type Lookup } from './resolver.ts';
import { createTlsClient } from './tls-client.ts';
import type { Target } from './target.ts';

/** For whom a connection is opened, and the client certificate that it uses, if any. */
export type Caller = Client & { identity?: Identity };
type Identity = ClientIdentity | undefined;

/**
 * Waits until a lookup of the URL's host may begin, where one is needed (`progress.phase` is `wait`). The result opens a
 * connection to the URL's origin, TLS included, and keeps `progress.phase` up to date.
 */
export type Connector = (url: Target, caller: Caller, progress: Progress) => Promise<OpenConnection>;
export type OpenConnection = () => Promise<Socket>;

type ConnectorOptions = {
  guard: AddressGuard;
  timeoutMs: number;
  /** `timeoutMs` unless given. */
  longestMs?: number | undefined;
  lookup?: Lookup | undefined;
  /** For how many milliseconds a name's addresses are kept. */
  keepNamesMs?: number | undefined;
  ca?: string | undefined;
};

// Far below the usual TTL of names (30 s and more), and below the life of a connection, so it adds little to the time until a
// changed name is noticed; in a burst to a receiver that keeps no connection it saves all lookups but one.
const keepNamesForMs = 5_000;

/** Of a TLS record that holds nothing but an alert. */
const alertBytes = 7;

/**
 * Makes the function that opens connections. The guard judges three times: an IP literal before it is
 * connected to (nothing looks one up), every address that the lookup finds, and the address that the socket
 * is really connected to, before a byte is written. The judged address is the one that is connected to: there is no
 * second lookup for a rebinding name to use.
 *
 * A name's addresses are kept for seconds and judged again at each connection. They are not kept where none
 * may be connected to, nor where the connection failed.
 *
 * The promises are rejected with the reason for which the attempt ends early, an `AttemptFailure`, `SenderBusy`, or the
 * error of node:dns, net or tls. `timeoutMs` (milliseconds) is the whole attempt's unless it has
 * a limit of its own, and `longestMs` that of the longest attempt, so of the longest lookup.
 *
 * @example
 * const connect = createConnector({ guard, timeoutMs: 5_000 });
 * const open = await connect(new URL('https://example.com/webhooks'), client, progress);
 * const socket = await open();
 */
export function createConnector({
  guard,
  timeoutMs,
  longestMs = timeoutMs,
  lookup = createResolver(),
  keepNamesMs = keepNamesForMs,
  ca,
}: ConnectorOptions): Connector {
  const names = createHostNames({ lookup, keepMs: keepNamesMs, limitMs: timeoutMs, longestMs });
  const connectTls = createTlsClient(ca);

  function prepareLookup(host: string, client: Client, progress: Progress): Promise<FindAddresses> {
    const address = withoutBrackets(host);
    const family = isIP(address);
    if (family === 0) return names.prepare(withoutRootDot(host), client, progress);
    return Promise.resolve(() => Promise.resolve([{ address, family }]));
  }

  async function open(url: Target, found: readonly LookupAddress[], identity: Identity, progress: Progress) {
    const host = url.hostname;
    if (found.length === 0) throw new AttemptFailure('dns_not_found');
    const allowed = found.filter(({ address }) => guard.checkAddress(address, host));
    if (allowed.length === 0) throw new AttemptFailure('blocked_address');
    progress.phase = 'connect';
    const socket = await dial(addressOrder(allowed), portOf(url), progress);
    if (!guard.checkAddress(socket.remoteAddress ?? '', host)) {
      socket.destroy();
      throw new AttemptFailure('blocked_address');
    }
    if (url.protocol === 'http:') return socket;
    progress.phase = 'tls';
    return secure(url, socket, identity, progress);
  }

  function secure(url: Target, socket: Socket, identity: Identity, progress: Progress): Promise<Socket> {
    return untilEnded<Socket>(progress, (resolve, reject) => {
      const fail = (error: unknown): void => {
        const known = {
          hasServerHello: socket.bytesRead > alertBytes,
          sentCertificate: identity !== undefined,
        };
        reject(toHandshakeFailure(error, withoutRootDot(url.hostname), known));
      };
      // A close that TLS has more to say about is followed by its error at once.
      const onClose = (): void => {
        setImmediate(() => fail(new AttemptFailure('connection_closed')));
      };
      socket.once('close', onClose);
      const secured = connectTls(socket, withoutBrackets(withoutRootDot(url.hostname)), identity);
      const onError = (error: Error): void => {
        socket.off('close', onClose);
        fail(error);
      };
      secured.once('error', onError);
      secured.once('secureConnect', () => {
        socket.off('close', onClose);
        secured.off('error', onError);
        resolve(secured);
      });
      return () => socket.destroy();
    });
  }

  return async (url, { identity, ...client }, progress) => {
    const find = await prepareLookup(url.hostname, client, progress);
    return async () => {
      progress.phase = 'dns';
      const found = await find(progress);
      try {
        return await open(url, found, identity, progress);
      } catch (error) {
        names.forget(withoutRootDot(url.hostname), found);
        throw error;
      }
    };
  };
}

function portOf(url: Target): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

/** `example.com.` is the same host as `example.com`, and name servers and certificates know it without the dot. */
function withoutRootDot(host: string): string {
  return host.replace(/\.$/, '');
}
