import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import { createHttpServer } from './api/server.ts';
import type { Config } from './config.ts';
import { isPortFree } from './embedded/free-port.ts';
import { StartError } from './errors.ts';

/** How long a server waits for requests under way when it stops. */
const drainMs = 10_000;

/** @throws StartError where a port that the role listens on is taken */
export async function requirePorts(config: Config, role: 'up' | 'api' | 'worker'): Promise<void> {
  const { HOST, PORT, FLTR_WORKER_PORT, FLTR_TEMPORAL_METRICS_ADDRESS: temporalMetrics } = config;
  const wanted = [
    ...(role === 'worker' ? [] : [{ name: 'PORT', host: HOST, port: PORT }]),
    ...(role === 'worker' && FLTR_WORKER_PORT !== undefined
      ? [{ name: 'FLTR_WORKER_PORT', host: HOST, port: FLTR_WORKER_PORT }]
      : []),
    ...(role !== 'api' && temporalMetrics
      ? [{ ...temporalMetrics, name: 'FLTR_TEMPORAL_METRICS_ADDRESS' }]
      : []),
  ];
  for (const { name, host, port } of wanted) {
    if (!(await isPortFree(host, port))) throw portTaken(name, host, port);
  }
}

function portTaken(name: string, host: string, port: number): StartError {
  return new StartError(`Port ${port} on ${host} is taken. Set ${name} to a free one, or stop what uses it.`);
}

type Wanted = { name: 'PORT' | 'FLTR_WORKER_PORT'; host: string; port: number };

/**
 * Returns the port, which the system chooses where `port` is 0, and how the server is closed: requests under way may end.
 * @throws StartError where the port is taken: it may have been free at the check before, seconds ago
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
    throw (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? portTaken(name, host, port) : error;
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
