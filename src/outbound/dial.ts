import type { LookupAddress } from 'node:dns';
import { connect, type Socket } from 'node:net';
import { untilEnded, type Progress } from './progress.ts';

// A name may list any number of addresses: without a bound it could aim many connections at strangers.
const maxAddresses = 8;
/** Milliseconds (RFC 8305, 5). */
const nextAfterMs = 250;

/**
 * The addresses to connect to, in order: the families in turn, the first one's first, at most 8. A name with many IPv6
 * addresses so keeps some of its IPv4 ones. Source: RFC 8305, 4.
 *
 * @example addressOrder([six1, six2, four1]) // [six1, four1, six2]
 */
export function addressOrder(found: readonly LookupAddress[]): LookupAddress[] {
  const firstFamily = found[0]?.family;
  const first = found.filter(({ family }) => family === firstFamily);
  const second = found.filter(({ family }) => family !== firstFamily);
  const longer = Math.max(first.length, second.length);
  return Array.from({ length: longer }, (_, index) => [first[index], second[index]])
    .flat()
    .filter((address) => address !== undefined)
    .slice(0, maxAddresses);
}

/**
 * Connects to the first of several addresses that accepts a connection. The next one is begun when one failed, or after
 * 250 ms; the earlier ones continue, because a distant receiver may need longer. The sockets that are not needed are
 * ended, also when the attempt ends early. Nothing is looked up here.
 *
 * Rejected with the error of node:net, an `AggregateError` where several addresses failed, or the reason for which the
 * attempt ends early. Source: RFC 8305, 5. Node's own `autoSelectFamily` gives each address up after its 250 ms.
 *
 * @example const socket = await dial([{ address: '93.184.216.34', family: 4 }], 443, progress);
 */
export function dial(addresses: readonly LookupAddress[], port: number, progress: Progress): Promise<Socket> {
  return untilEnded(progress, (resolve, reject) => {
    const connecting = new Set<Socket>();
    const errors: Error[] = [];
    let timer: NodeJS.Timeout | undefined;
    let next = 0;

    const stop = (): void => {
      clearTimeout(timer);
      for (const socket of connecting) socket.destroy();
      connecting.clear();
    };
    const connectNext = (): void => {
      clearTimeout(timer);
      const found = addresses[next];
      if (found === undefined) {
        if (connecting.size === 0) reject(errors.length === 1 ? errors[0] : new AggregateError(errors));
        return;
      }
      next += 1;
      const socket = connect({ host: found.address, port, noDelay: true, autoSelectFamily: false });
      connecting.add(socket);
      if (next < addresses.length) timer = setTimeout(connectNext, nextAfterMs);
      // Stays for the socket's life: under TLS its errors are reported once more, by the TLS socket.
      socket.on('error', (error) => {
        if (!connecting.delete(socket)) return;
        errors.push(error);
        connectNext();
      });
      socket.once('connect', () => {
        if (!connecting.delete(socket)) return;
        stop();
        resolve(socket);
      });
    };
    connectNext();
    return stop;
  });
}
