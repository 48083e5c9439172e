import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { Express } from 'express';
import { createHttpServer } from './api/server.ts';
import type { Config } from './config.ts';
import { StartError } from './errors.ts';

/** How long a stopping server waits for its open requests. */
const drainMs = 10_000;

/** @throws StartError if the role cannot listen on one of its ports */
export async function requirePorts(config: Config, role: 'up' | 'api' | 'worker'): Promise<void> {
  const { HOST, PORT, FLTR_WORKER_PORT, FLTR_TEMPORAL_METRICS_ADDRESS: temporalMetrics } = config;
  const name = role === 'worker' ? 'FLTR_WORKER_PORT' : 'PORT';
  const port = role === 'worker' ? FLTR_WORKER_PORT : PORT;
  const addresses: Address[] = [];
  if (port !== undefined) addresses.push({ name, hostName: 'HOST', host: HOST, port });
  if (role !== 'api' && temporalMetrics) {
    const setting = 'FLTR_TEMPORAL_METRICS_ADDRESS';
    addresses.push({ ...temporalMetrics, name: setting, hostName: setting });
  }
  for (const address of addresses) {
    const code = await findPortFault(address.host, address.port);
    if (code !== null) throw new StartError(describePortFault(code, address));
  }
}

type Address = {
  host: string;
  port: number;
  /** The port's setting. */
  name: string;
  /** The host's setting. */
  hostName: string;
};

/** Node's error code (`EADDRINUSE`, `EACCES`, …) if nothing can listen there, otherwise null. */
function findPortFault(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** Why the service cannot listen, and the remedy. `code`: from Node's error. */
export function describePortFault(code: string, { host, port, name, hostName }: Address): string {
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is already in use. Set ${name} to a free port, or stop the program that uses it.`;
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return `${host} is not an address of this machine. Set ${hostName} to one of its addresses, or to 0.0.0.0 for all of them.`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The host name ${host} cannot be resolved. Set ${hostName} to an address of this machine, such as 127.0.0.1, or to 0.0.0.0 for all of them.`;
    case 'EACCES':
    case 'EPERM':
      return `This user may not listen on port ${port}. Set ${name} to 1024 or higher, or grant the right to use lower ports (CAP_NET_BIND_SERVICE).`;
    default:
      return `The service cannot listen on port ${port} of ${host} (${code}). Check ${name} and ${hostName}.`;
  }
}

type ListenOptions = { name: 'PORT' | 'FLTR_WORKER_PORT'; host: string; port: number };

/**
 * Listens, and returns the port, which the system chooses if `port` is 0. `close` lets open requests finish.
 *
 * @throws StartError if the port was taken since it was checked
 */
export async function listen(
  app: Express,
  { name, host, port }: ListenOptions,
): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createHttpServer(app);
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new StartError(describePortFault(code, { name, host, port, hostName: 'HOST' }));
  }
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolveClosed) => {
      server.close(() => resolveClosed());
    });
    server.closeIdleConnections();
    const timer = setTimeout(() => server.closeAllConnections(), drainMs);
    await closed;
    clearTimeout(timer);
  };
  return { port: (server.address() as AddressInfo).port, close };
}
