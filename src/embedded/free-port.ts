import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Binds the port for a moment, so a server that starts at the same time would find it in use. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * The first free port of `preferred`, otherwise any free port, but never one of `reserved`. Any port is below 32,768:
 * systems assign the ports above to outgoing connections, one of which could take it before it is bound, or during a
 * restart. Besides, Temporal on PostgreSQL stores ports as signed two-byte integers.
 */
export async function choosePort(
  host: string,
  preferred: number[],
  reserved: number[] = [],
): Promise<number> {
  const random = Array.from({ length: 50 }, () => randomInt(10_000, 32_768));
  for (const port of [...preferred, ...random]) {
    if (!reserved.includes(port) && (await isPortFree(host, port))) return port;
  }
  throw new Error(`no free port on ${host}`);
}
