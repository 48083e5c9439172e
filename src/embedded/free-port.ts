import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** Binds the port (0: any) for a moment; undefined when it is taken. */
function bindForAMoment(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ host, port, exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port;
      server.close(() => resolve(bound));
    });
  });
}

export async function isPortFree(host: string, port: number): Promise<boolean> {
  return (await bindForAMoment(host, port)) !== undefined;
}

/** The first free one of `preferred`, else any free one; never one of `reserved`, the ports just given to others. */
export async function choosePort(
  host: string,
  preferred: number[],
  reserved: number[] = [],
): Promise<number> {
  for (const port of preferred) {
    if (!reserved.includes(port) && (await isPortFree(host, port))) return port;
  }
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const port = await bindForAMoment(host, 0);
    if (port !== undefined && !reserved.includes(port)) return port;
  }
  throw new Error(`no free port on ${host}`);
}
