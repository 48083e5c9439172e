import type { Worker } from 'node:cluster';

type Connection = { close(): void };
/** Of `node:cluster`, see Node's lib/internal/cluster/round_robin_handle.js: `ack` is the `seq` that it responds to. */
type ClusterMessage = { act?: unknown; seq?: unknown; ack?: unknown };

/**
 * Closes the connections that were passed to a process which died before it accepted them. `node:cluster` would keep them open
 * without anybody who reads them, so each client would wait until its own time limit.
 */
export function closeUnaccepted(worker: Worker): void {
  const unaccepted = new Map<unknown, Connection>();
  const child = worker.process;
  const send = child.send.bind(child) as (...args: unknown[]) => boolean;
  child.send = (...args: unknown[]): boolean => {
    const [message, connection] = args as [ClusterMessage, Connection | undefined];
    if (message.act === 'newconn' && connection) unaccepted.set(message.seq, connection);
    return send(...args);
  };
  child.on('internalMessage', ({ ack }: ClusterMessage) => void unaccepted.delete(ack));
  worker.on('exit', () => {
    for (const connection of unaccepted.values()) connection.close();
    unaccepted.clear();
  });
}
