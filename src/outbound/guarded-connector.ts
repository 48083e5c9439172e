import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import type { AddressGuard } from './address-guard.ts';
import { AttemptFailure, type Progress } from './attempt-failure.ts';
import { withoutBrackets } from './judge-ip.ts';
import { untilAborted } from './until-aborted.ts';

/** Opens a connection to the URL's origin, TLS included; keeps `progress.phase` up to date. */
export type Connector = (url: URL, progress: Progress) => Promise<Socket>;

type ConnectorOptions = {
  guard: AddressGuard;
  timeoutMs: number;
  lookup?: LookupFunction | undefined;
  ca?: string | undefined;
};

// A name may list any number of addresses: without a bound it could aim many connections at strangers.
const maxAddresses = 8;

/**
 * Makes the function that opens connections. The guard judges three times: an IP literal before it is
 * dialled (nothing looks one up), every address that the look-up answers, and the address that the socket
 * is really connected to, before a byte is written. What was judged is what is dialled: there is no second
 * look-up for a rebinding name to use.
 *
 * The promise is rejected with the signal's reason, an `AttemptFailure`, or the error of node:dns, net or tls.
 * `timeoutMs` (milliseconds) is the whole attempt's: it bounds what one of several addresses may use up.
 *
 * @example
 * const connect = createConnector({ guard, timeoutMs: 5_000 });
 * const socket = await connect(new URL('https://example.com/hook'), { phase: 'connect', signal });
 */
export function createConnector({
  guard,
  timeoutMs,
  lookup = systemLookup,
  ca,
}: ConnectorOptions): Connector {
  const lookUp = shareLookups(lookup);
  const addTls = buildConnector({
    timeout: 0,
    allowH2: false,
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
  });

  async function findAddresses(host: string, progress: Progress): Promise<LookupAddress[]> {
    const literal = withoutBrackets(host);
    const family = isIP(literal);
    progress.phase = 'lookup';
    const found =
      family === 0
        ? await untilAborted<LookupAddress[]>(progress.signal, (resolve, reject) => {
            lookUp(host).then(resolve, reject);
            return () => {};
          })
        : [{ address: literal, family }];
    if (found.length === 0) throw new AttemptFailure('dns_not_found');
    const allowed = found.filter(({ address }) => guard.checkAddress(address, host));
    if (allowed.length === 0) throw new AttemptFailure('blocked_address');
    return allowed.slice(0, maxAddresses);
  }

  return async (url, progress) => {
    const host = url.hostname;
    const addresses = await findAddresses(host, progress);
    progress.phase = 'connect';
    const socket = await dial(url, addresses, Math.min(1000, timeoutMs / 4), progress.signal);
    if (!guard.checkAddress(socket.remoteAddress ?? '', host)) {
      socket.destroy();
      throw new AttemptFailure('blocked_address');
    }
    if (url.protocol === 'http:') return socket;
    progress.phase = 'tls';
    return untilAborted<Socket>(progress.signal, (resolve, reject) => {
      // A close that TLS has more to say about is followed by its error at once.
      const onClose = (): void => {
        setImmediate(() => reject(new AttemptFailure('connection_closed')));
      };
      socket.once('close', onClose);
      addTls(
        {
          hostname: withoutBrackets(host),
          host: url.host,
          protocol: url.protocol,
          port: portOf(url),
          httpSocket: socket,
        },
        (error, secured) => {
          socket.off('close', onClose);
          if (error === null) resolve(secured);
          else reject(error);
        },
      );
      return () => socket.destroy();
    });
  };
}

/**
 * Attempts to one host that run at the same time share one look-up: getaddrinfo has four threads and cannot
 * be called off, so a host whose name servers hang would hold up everybody else's deliveries.
 */
function shareLookups(lookup: LookupFunction): (host: string) => Promise<LookupAddress[]> {
  const underWay = new Map<string, Promise<LookupAddress[]>>();

  const start = (host: string): Promise<LookupAddress[]> =>
    new Promise((resolve, reject) => {
      lookup(host, { all: true }, (error, found, family) => {
        if (error) reject(error);
        else resolve(typeof found === 'string' ? [{ address: found, family: family ?? isIP(found) }] : found);
      });
    });

  return (host) => {
    const running = underWay.get(host);
    if (running !== undefined) return running;
    const started = start(host).finally(() => underWay.delete(host));
    underWay.set(host, started);
    return started;
  };
}

function dial(
  url: URL,
  addresses: LookupAddress[],
  attemptTimeoutMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  return untilAborted(signal, (resolve, reject) => {
    const socket = connectTcp({
      host: withoutBrackets(url.hostname),
      port: Number(portOf(url)),
      lookup: (_host, _options, answer) => answer(null, addresses),
      noDelay: true,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: Math.max(10, Math.floor(attemptTimeoutMs)),
    });
    // Stays for the socket's life: under TLS its errors are reported once more, by the TLS socket.
    socket.on('error', reject);
    socket.once('connect', () => resolve(socket));
    return () => socket.destroy();
  });
}

function portOf(url: URL): string {
  if (url.port !== '') return url.port;
  return url.protocol === 'https:' ? '443' : '80';
}
