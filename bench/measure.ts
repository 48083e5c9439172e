import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, the unit of /proc: the same on every Linux. */
const ticksPerSecond = 100;
const msPerTick = 1000 / ticksPerSecond;
/** Where others use more than this, the run is marked as disturbed. */
export const disturbingCores = 0.2;

/** Nearest rank. Null for no values at all. */
export function percentile(values: Iterable<number>, percent: number): number | null {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? null;
}

export function percentiles(values: Iterable<number>): { p50: number | null; p99: number | null } {
  const list = [...values];
  return { p50: percentile(list, 50), p99: percentile(list, 99) };
}

export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

/** `cpuMs`: its own and that of its children that ended. */
export type ProcessTimes = Map<number, { name: string; parent: number; cpuMs: number }>;

function readProcesses(): ProcessTimes {
  const processes: ProcessTimes = new Map();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The command's name in brackets may hold anything.
      const nameEnd = stat.lastIndexOf(')');
      const name = stat.slice(stat.indexOf('(') + 1, nameEnd);
      const fields = stat.slice(nameEnd + 2).split(' ');
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      processes.set(pid, { name, parent: Number(fields[1]), cpuMs: ticks * msPerTick });
    } catch {
      // It ended meanwhile.
    }
  }
  return processes;
}

/** The processes of these ids and all below them. */
export function treesOf(processes: ProcessTimes, roots: readonly number[]): number[] {
  const members = new Set(roots.filter((pid) => processes.has(pid)));
  for (let size = 0; size !== members.size;) {
    size = members.size;
    for (const [pid, { parent }] of processes) if (members.has(parent)) members.add(pid);
  }
  return [...members];
}

/** The children of these, by default all, else those that run that command. None where there is no /proc. */
export function childProcesses(parents: readonly number[], command?: string): number[] {
  if (!existsSync('/proc/stat')) return [];
  return [...readProcesses()].flatMap(([pid, { name, parent }]) =>
    (command === undefined || name === command) && parents.includes(parent) ? [pid] : [],
  );
}

/** One part of the set-up: its processes, with or without those below them. */
export type PartProcesses = { pids: readonly number[]; isTree: boolean };
export type PartsProcesses = Record<string, PartProcesses>;

/** `busyMs`: all that ran on this machine; `ownMs`: this process and all below it; `stolenMs`: time that its host used. */
export type CpuSnapshot = {
  atMs: number;
  busyMs: number;
  stolenMs: number;
  ownMs: number;
  parts: Record<string, number>;
};

/** Null where there is no /proc. */
export function takeCpu(parts: PartsProcesses): CpuSnapshot | null {
  if (!existsSync('/proc/stat')) return null;
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const fields = line.split(/\s+/).slice(1).map(Number);
  const [user = 0, nice = 0, system = 0, , , hardInterrupts = 0, softInterrupts = 0, stolen = 0] = fields;
  const processes = readProcesses();
  const sum = (pids: readonly number[]) =>
    pids.reduce((total, pid) => total + (processes.get(pid)?.cpuMs ?? 0), 0);
  return {
    atMs: performance.now(),
    // Most kernels count the time of interrupts, which is mostly our own traffic, to the process they came upon, too.
    busyMs: (user + nice + system + hardInterrupts + softInterrupts) * msPerTick,
    stolenMs: stolen * msPerTick,
    ownMs: sum(treesOf(processes, [process.pid])),
    parts: Object.fromEntries(
      Object.entries(parts).map(([name, { pids, isTree }]) => [
        name,
        sum(isTree ? treesOf(processes, pids) : pids),
      ]),
    ),
  };
}

/** `otherCores`: used by other processes, and by the machine's host. */
export type CpuUse = { seconds: number; otherCores: number; partMs: Record<string, number> };

export function cpuBetween(before: CpuSnapshot | null, after: CpuSnapshot | null): CpuUse | null {
  if (!before || !after) return null;
  const elapsedMs = after.atMs - before.atMs;
  const others =
    after.busyMs - before.busyMs - (after.ownMs - before.ownMs) + (after.stolenMs - before.stolenMs);
  return {
    seconds: elapsedMs / 1000,
    // Ticks are coarse: it may come out a little below nothing.
    otherCores: elapsedMs > 0 ? Math.max(0, others / elapsedMs) : 0,
    partMs: Object.fromEntries(
      Object.entries(after.parts).map(([name, cpuMs]) => [name, cpuMs - (before.parts[name] ?? 0)]),
    ),
  };
}

export const isDisturbed = (otherCores: number | null): boolean => (otherCores ?? 0) > disturbingCores;

/** Proportional set size: memory that several processes share is counted once. MiB; null where it cannot be read. */
export function takeMemory(parts: PartsProcesses): Record<string, number | null> {
  const processes = existsSync('/proc/stat') ? readProcesses() : null;
  return Object.fromEntries(
    Object.entries(parts).map(([name, { pids, isTree }]) => {
      if (!processes) return [name, null];
      const kib = (isTree ? treesOf(processes, pids) : pids).map(pssKib);
      return [
        name,
        kib.includes(null) ? null : kib.reduce<number>((sum, value) => sum + (value ?? 0), 0) / 1024,
      ];
    }),
  );
}

function pssKib(pid: number): number | null {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0);
  } catch (error) {
    // One that ended has no memory; one that may not be looked at is not known.
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? null : 0;
  }
}
