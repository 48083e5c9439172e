import { createServer } from 'node:net';
import type { Config } from './config.ts';
import { StartError } from './errors.ts';

/**
 * `processes`: of the service. Each has a port of its own for the metrics of Temporal's worker, and so has the one more that
 * runs for a while in a restart.
 *
 * @throws StartError if the role cannot listen on one of its ports
 */
export async function requirePorts(
  config: Config,
  role: 'up' | 'api' | 'worker',
  processes = 1,
): Promise<void> {
  const { HOST, PORT, FLTR_WORKER_PORT, FLTR_TEMPORAL_METRICS_ADDRESS: temporalMetrics } = config;
  const name = role === 'worker' ? 'FLTR_WORKER_PORT' : 'PORT';
  const port = role === 'worker' ? FLTR_WORKER_PORT : PORT;
  const addresses: Address[] = [];
  if (port !== undefined) addresses.push({ name, hostName: 'HOST', host: HOST, port });
  if (role !== 'api' && temporalMetrics) {
    const setting = 'FLTR_TEMPORAL_METRICS_ADDRESS';
    const ports = processes === 1 ? 1 : processes + 1;
    for (let number = 1; number <= ports; number += 1)
      addresses.push({ ...portOf(temporalMetrics, number), name: setting, hostName: setting });
  }
  for (const address of addresses) {
    const code = await findPortFault(address.host, address.port);
    if (code !== null) throw new StartError(describePortFault(code, address));
  }
}

/** The address of the process with that number, from 1 on: each has the next port. */
export function portOf({ host, port }: Pick<Address, 'host' | 'port'>, number: number) {
  const own = port + number - 1;
  return { host, port: own, text: host.includes(':') ? `[${host}]:${own}` : `${host}:${own}` };
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
