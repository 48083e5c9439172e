import dns, { promises, type LookupAddress } from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { isIP, Socket } from 'node:net';

const isLoopback = (host: string) => /^(localhost|127\.[\d.]+|::1)$/.test(host);

/**
 * From here on this process can reach its own machine only: other names do not exist, other addresses cannot be
 * reached. Returns every name and address that was requested.
 */
export function stayOnLoopback(): Set<string> {
  const refused = new Set<string>();
  const lookup = dns.lookup as (host: string, options: object, callback: LookupCallback) => void;
  const connect = Reflect.get(Socket.prototype, 'connect') as (...args: unknown[]) => Socket;

  Object.assign(dns, {
    lookup: (host: string, options: object, callback: LookupCallback) => {
      if (isLoopback(host)) return lookup(host, options, callback);
      refused.add(host);
      process.nextTick(() => callback(systemError('ENOTFOUND', 'getaddrinfo')));
    },
  });
  syncBuiltinESMExports();
  const refuse = async (host: string): Promise<never> => {
    refused.add(host);
    throw systemError('ENOTFOUND', 'queryA');
  };
  Object.assign(promises.Resolver.prototype, { resolve4: refuse, resolve6: refuse });

  Socket.prototype.connect = function connectOnLoopback(this: Socket, ...args: unknown[]): Socket {
    // node:net hands its own calls over as one array of options and callback.
    const [first] = args.flat() as [{ host?: string } | undefined];
    const host = first?.host ?? 'localhost';
    if (isIP(host) === 0 || isLoopback(host)) return Reflect.apply(connect, this, args);
    refused.add(host);
    process.nextTick(() => this.destroy(systemError('ENETUNREACH', 'connect')));
    return this;
  };
  return refused;
}

type LookupCallback = (error: Error | null, address?: string | LookupAddress[], family?: number) => void;

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
}
