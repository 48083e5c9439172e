import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import { createHttpServer } from './api/server.ts';
import type { Config } from './config.ts';
import { findPortFault } from './embedded/free-port.ts';
import { StartError } from './errors.ts';

/** How long a server waits for requests under way when it stops. */
const drainMs = 10_000;

/** @throws StartError where the role cannot listen on one of its ports */
export async function requirePorts(config: Config, role: 'up' | 'api' | 'worker'): Promise<void> {
  const { HOST, PORT, FLTR_WORKER_PORT, FLTR_TEMPORAL_METRICS_ADDRESS: temporalMetrics } = config;
  const wanted = [
    ...(role === 'worker' ? [] : [{ name: 'PORT', hostName: 'HOST', host: HOST, port: PORT }]),
    ...(role === 'worker' && FLTR_WORKER_PORT !== undefined
      ? [{ name: 'FLTR_WORKER_PORT', hostName: 'HOST', host: HOST, port: FLTR_WORKER_PORT }]
      : []),
    ...(role !== 'api' && temporalMetrics
      ? [
          {
            ...temporalMetrics,
            name: 'FLTR_TEMPORAL_METRICS_ADDRESS',
            hostName: 'FLTR_TEMPORAL_METRICS_ADDRESS',
          },
        ]
      : []),
  ];
  for (const address of wanted) {
    const code = await findPortFault(address.host, address.port);
    if (code !== null) throw new StartError(describePortFault(code, address));
  }
}

type Address = {
  host: string;
  port: number;
  /** The setting that has the port. */
  name: string;
  /** The setting that has the host. */
  hostName: string;
};

/** Why nothing can listen there, in words for whoever starts the service. `code`: of Node's error. */
export function describePortFault(code: string, { host, port, name, hostName }: Address): string {
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is already in use. Set ${name} to a free one, or stop what uses it.`;
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return `${host} is not an address of this machine. Set ${hostName} to one that it has, or to 0.0.0.0 for all of them.`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is not a host name that can be found. Set ${hostName} to an address of this machine, such as 127.0.0.1, or to 0.0.0.0 for all of them.`;
    case 'EACCES':
    case 'EPERM':
      return `This user may not listen on port ${port}. Set ${name} to 1024 or higher, or grant the right to use lower ports (CAP_NET_BIND_SERVICE).`;
    default:
      return `The service cannot listen on port ${port} of ${host} (${code}). Check ${name} and ${hostName}.`;
  }
}

type Wanted = { name: 'PORT' | 'FLTR_WORKER_PORT'; host: string; port: number };

/**
 * Returns the port, which the system chooses where `port` is 0, and how the server is closed: requests under way may end.
 * @throws StartError where nothing can listen there: the port may have been free at the check before, seconds ago
 */
export async function listen(
  app: Express,
  { name, host, port }: Wanted,
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
