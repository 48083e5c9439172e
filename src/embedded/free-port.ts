import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** Binds the port (0: any) for a moment. `code`: why it cannot be bound, as Node names it: `EADDRINUSE`, `EACCES`, … */
function bindForAMoment(host: string, port: number): Promise<{ bound: number } | { code: string }> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve({ code: error.code ?? error.message }));
    server.listen({ host, port, exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port;
      server.close(() => resolve({ bound }));
    });
  });
}

/** Why nothing can listen there, as Node's error code; null: it can. */
export async function findPortFault(host: string, port: number): Promise<string | null> {
  const result = await bindForAMoment(host, port);
  return 'code' in result ? result.code : null;
}

export async function isPortFree(host: string, port: number): Promise<boolean> {
  return (await findPortFault(host, port)) === null;
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
    const result = await bindForAMoment(host, 0);
    if ('bound' in result && !reserved.includes(result.bound)) return result.bound;
  }
  throw new Error(`no free port on ${host}`);
}
