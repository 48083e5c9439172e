import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Binds the port for a moment. So do not watch with it for a server to come: it would find its own port taken.
 *
 * @returns why nothing can listen there, as Node's error code (`EADDRINUSE`, `EACCES`, …); null: it can
 */
export function findPortFault(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

export async function isPortFree(host: string, port: number): Promise<boolean> {
  return (await findPortFault(host, port)) === null;
}

/**
 * The first free one of `preferred`, else any free one; never one of `reserved`, the ports just given to others. Any means
 * below 32,768: systems give outgoing connections the ports above, and one of those could take it before it is bound,
 * or while its server is started again. Temporal on PostgreSQL keeps ports in two bytes with a sign, too.
 */
export async function choosePort(
  host: string,
  preferred: number[],
  reserved: number[] = [],
): Promise<number> {
  const any = Array.from({ length: 50 }, () => randomInt(10_000, 32_768));
  for (const port of [...preferred, ...any]) {
    if (!reserved.includes(port) && (await isPortFree(host, port))) return port;
  }
  throw new Error(`no free port on ${host}`);
}
