import { once } from 'node:events';
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
    if (await isPortFree(host, port)) continue;
    throw new StartError(
      `Port ${port} on ${host} is taken. Set ${name} to a free one, or stop what uses it.`,
    );
  }
}

/** Answers how it is stopped: requests under way may end. */
export async function listen(app: Express, host: string, port: number): Promise<() => Promise<void>> {
  const server = createHttpServer(app);
  server.listen(port, host);
  await once(server, 'listening');
  return async () => {
    const closed = new Promise<void>((resolveClosed) => {
      server.close(() => resolveClosed());
    });
    server.closeIdleConnections();
    const timer = setTimeout(() => server.closeAllConnections(), drainMs);
    await closed;
    clearTimeout(timer);
  };
}
