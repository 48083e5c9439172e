import { once } from 'node:events';
import { Server as NetServer, type AddressInfo } from 'node:net';
import type { Express } from 'express';
import { limitConnections } from './api/connection-age.ts';
import { createHttpServer } from './api/server.ts';
import { StartError } from './errors.ts';
import { describePortFault } from './require-ports.ts';

/** How long a stopping server waits for its open requests. */
const drainMs = 10_000;
/** How long `drain` waits for connections to end by themselves: a little longer than one may be idle. */
const idleMs = 70_000;

type ListenOptions = {
  name: 'PORT' | 'FLTR_WORKER_PORT';
  host: string;
  port: number;
  /** After which a connection ends with its next response. */
  maxAgeMs?: number | undefined;
};

/** A server that listens. */
export type Listening = {
  /** The system has chosen it if 0 was given. */
  port: number;
  /**
   * Takes no new connection, for another process takes them from now on. An open connection ends with its next response, or
   * by itself where it stays idle: so no request is sent to a connection that is being closed.
   */
  drain(): Promise<void>;
  /** Ends idle connections, and lets open requests finish. */
  close(): Promise<void>;
};

/** @throws StartError if the port was taken since it was checked */
export async function listen(
  app: Express,
  { name, host, port, maxAgeMs }: ListenOptions,
): Promise<Listening> {
  const server = createHttpServer(app);
  const connections = limitConnections(server, maxAgeMs);
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new StartError(describePortFault(code, { name, host, port, hostName: 'HOST' }));
  }
  const ended = (end: () => void, limitMs: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => server.closeAllConnections(), limitMs);
      server.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      end();
    });
  return {
    port: (server.address() as AddressInfo).port,
    drain: () =>
      ended(() => {
        connections.endEach();
        // The one of `http.Server` ends idle connections at once.
        NetServer.prototype.close.call(server);
      }, idleMs),
    close: () =>
      ended(() => {
        server.close();
        server.closeIdleConnections();
      }, drainMs),
  };
}
