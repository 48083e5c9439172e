const bytesPerProcess = 2 ** 30;
/** Each one polls Temporal and keeps connections to PostgreSQL: far more than this help nobody. */
const mostProcesses = 16;

type Machine = {
  cores: number;
  /** Of the machine, or of the container where that has less. */
  memoryBytes: number;
};

/**
 * How many processes help: PostgreSQL, Temporal and the threads of each process use as much of the cores as the processes'
 * JavaScript does, so there is one for two cores; and at most one for each GiB of memory.
 *
 * @example processesFor({ cores: 8, memoryBytes: 32 * 2 ** 30 }) // 4
 */
export function processesFor({ cores, memoryBytes }: Machine): number {
  const most = Math.min(Math.floor(cores / 2), Math.floor(memoryBytes / bytesPerProcess), mostProcesses);
  return Math.max(1, most);
}

/** Connections of a server that are left for others: its administrator, the commands. */
const connectionsLeft = 20;

/**
 * Connections to PostgreSQL that so many processes may use. In a restart, one process more runs for a while.
 *
 * @example connectionsFor(4, 20) // 120
 */
export const connectionsFor = (processes: number, perProcess: number): number =>
  (processes + 1) * perProcess + connectionsLeft;

/** As many processes as fit into a server's connections. @example processesWithin(100, 20) // 3 */
export const processesWithin = (connections: number, perProcess: number): number =>
  Math.max(1, Math.floor((connections - connectionsLeft) / perProcess) - 1);

/** A process that ran for so long did not end because of its start. */
export const stableAfterMs = 30_000;
const maxPauseMs = 30_000;

/**
 * How long to wait before a process is started again that has ended so many times without a stable run in between: not at
 * all, then 1 s, 2 s, 4 s, and so on up to 30 s.
 *
 * @example restartPauseMs(3) // 4000
 */
export const restartPauseMs = (endsInARow: number): number =>
  endsInARow === 0 ? 0 : Math.min(2 ** (endsInARow - 1) * 1000, maxPauseMs);
