import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import type { AddressGuard } from './address-guard.ts';
import { AttemptFailure } from './attempt-failure.ts';
import { withoutBrackets } from './judge-ip.ts';
import { createNameAnswers } from './name-answers.ts';
import { untilEnded, type Progress } from './progress.ts';
import type { Target } from './target.ts';

/** Opens a connection to the URL's origin, TLS included; keeps `progress.phase` up to date. */
export type Connector = (url: Target, progress: Progress) => Promise<Socket>;

type ConnectorOptions = {
  guard: AddressGuard;
  timeoutMs: number;
  lookup?: LookupFunction | undefined;
  /** For how many milliseconds a name's addresses are kept. */
  keepNamesMs?: number | undefined;
  ca?: string | undefined;
};

// Far below the life that names are given (30 s and more), and below what a connection lives, so it adds little to how
// late a changed name is noticed; in a burst to a receiver that keeps no connection it saves all look-ups but one.
const keepNamesForMs = 5_000;
// A name may list any number of addresses: without a bound it could aim many connections at strangers.
const maxAddresses = 8;

/**
 * Makes the function that opens connections. The guard judges three times: an IP literal before it is
 * dialled (nothing looks one up), every address that the look-up answers, and the address that the socket
 * is really connected to, before a byte is written. What was judged is what is dialled: there is no second
 * look-up for a rebinding name to use.
 *
 * A name's addresses are kept for seconds and judged again at each connection. They are not kept where none
 * may be dialled, nor where the connection failed.
 *
 * The promise is rejected with the reason for which the attempt ends early, an `AttemptFailure`, or the error
 * of node:dns, net or tls. `timeoutMs` (milliseconds) is the whole attempt's: it bounds what one of several
 * addresses may use up.
 *
 * @example
 * const connect = createConnector({ guard, timeoutMs: 5_000 });
 * const socket = await connect(new URL('https://example.com/hook'), startProgress(5_000).progress);
 */
export function createConnector({
  guard,
  timeoutMs,
  lookup = systemLookup,
  keepNamesMs = keepNamesForMs,
  ca,
}: ConnectorOptions): Connector {
  const names = createNameAnswers({ lookup, keepMs: keepNamesMs });
  const addTls = buildConnector({
    timeout: 0,
    allowH2: false,
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
  });

  async function findAddresses(host: string, progress: Progress): Promise<readonly LookupAddress[]> {
    const literal = withoutBrackets(host);
    const family = isIP(literal);
    progress.phase = 'lookup';
    if (family !== 0) return [{ address: literal, family }];
    return untilEnded<readonly LookupAddress[]>(progress, (resolve, reject) => {
      names.find(host).then(resolve, reject);
      return () => {};
    });
  }

  async function open(url: Target, found: readonly LookupAddress[], progress: Progress): Promise<Socket> {
    const host = url.hostname;
    if (found.length === 0) throw new AttemptFailure('dns_not_found');
    const allowed = found.filter(({ address }) => guard.checkAddress(address, host));
    if (allowed.length === 0) throw new AttemptFailure('blocked_address');
    progress.phase = 'connect';
    const addresses = allowed.slice(0, maxAddresses);
    const socket = await dial(url, addresses, Math.min(1000, timeoutMs / 4), progress);
    if (!guard.checkAddress(socket.remoteAddress ?? '', host)) {
      socket.destroy();
      throw new AttemptFailure('blocked_address');
    }
    if (url.protocol === 'http:') return socket;
    progress.phase = 'tls';
    return secure(url, socket, progress);
  }

  function secure(url: Target, socket: Socket, progress: Progress): Promise<Socket> {
    return untilEnded<Socket>(progress, (resolve, reject) => {
      // A close that TLS has more to say about is followed by its error at once.
      const onClose = (): void => {
        setImmediate(() => reject(new AttemptFailure('connection_closed')));
      };
      socket.once('close', onClose);
      addTls(
        {
          hostname: withoutBrackets(url.hostname),
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
  }

  return async (url, progress) => {
    const found = await findAddresses(url.hostname, progress);
    try {
      return await open(url, found, progress);
    } catch (error) {
      names.forget(url.hostname, found);
      throw error;
    }
  };
}

function dial(
  url: Target,
  addresses: LookupAddress[],
  attemptTimeoutMs: number,
  progress: Progress,
): Promise<Socket> {
  return untilEnded(progress, (resolve, reject) => {
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

function portOf(url: Target): string {
  if (url.port !== '') return url.port;
  return url.protocol === 'https:' ? '443' : '80';
}
