import { startServers, type Bench, type Servers } from './bench.ts';
import type { BaselineCalls } from './baseline.ts';
import { cpuBetween, percentiles, takeCpu } from './measure.ts';
import type { LoadSpec } from './measured-load.ts';
import { startRemote } from './remote.ts';
import { withBaseline, type Figures, type More, type Part } from './report.ts';

export type ModeResult = {
  /** The figures of the mode are those of the first one. */
  parts: Part[];
  more: More;
  versions: Record<string, string>;
};
export type Mode = {
  summary: string;
  /** The product starts its embedded servers. */
  isEmbedded?: boolean;
  /** Settings of the product that the mode needs. */
  settings?: Record<string, string>;
  run: (bench: Bench) => Promise<ModeResult>;
};

export type OnServers = (bench: Bench, servers: Servers) => Promise<Omit<ModeResult, 'versions'>>;

/** A mode on PostgreSQL and Temporal of its own. */
export const onServers =
  (run: OnServers): Mode['run'] =>
  async (bench) => {
    const servers = await startServers(bench);
    return { ...(await run(bench, servers)), versions: servers.versions };
  };

/** Calls under way in a burst. */
const callers = 32;
const baselinePerSecond = 20;

export function singleBurst({ events }: Bench): LoadSpec {
  return { name: `${events} at once`, events, batch: 1, pace: { callers } };
}

export function steadyLoad({ seconds }: Bench, perSecond: number): LoadSpec {
  return { name: `${perSecond}/s`, events: perSecond * seconds, batch: 1, pace: { perSecond } };
}

type Baseline = { noop: number; activity: number; cpuMs: number | null };

/** The engine alone, in a process of its own, on the same servers. */
export function startBaseline(bench: Bench, { temporalAddress, parts }: Servers) {
  const remote = startRemote<BaselineCalls>('baseline');
  bench.stops.push(() => remote.stop());
  const target = { address: temporalAddress, namespace: 'default' };
  const limitMs = 120_000;
  return {
    /** Workflows a second, and the cost of one with an activity: this process, Temporal and PostgreSQL. */
    async rates(): Promise<Baseline> {
      bench.report('The baseline: the engine alone …');
      const { baselineSeconds: seconds } = bench;
      const all = { node: { pids: [remote.pid], isTree: true }, ...parts };
      const callMs = limitMs + 1000 * seconds;
      await remote.call('open', { target }, limitMs);
      const noop = await remote.call('rate', { workflow: 'noop', seconds }, callMs);
      const before = takeCpu(all);
      const activity = await remote.call('rate', { workflow: 'activity', seconds }, callMs);
      const use = cpuBetween(before, takeCpu(all));
      await remote.call('close', undefined, limitMs);
      const cpuMs = use && Object.values(use.partMs).reduce((sum, ms) => sum + ms, 0) / activity.count;
      return { noop: noop.perSecond, activity: activity.perSecond, cpuMs };
    },
    async latency(): Promise<Figures['endToEndMs']> {
      bench.report(`The baseline: the engine alone at ${baselinePerSecond}/s …`);
      const input = { target, perSecond: baselinePerSecond, seconds: bench.seconds };
      return percentiles(await remote.call('latencies', input, limitMs + 1000 * bench.seconds));
    },
  };
}

/** Measures the baseline before and after the loads, which are compared with the mean of the two. */
export async function betweenBaselines(
  bench: Bench,
  servers: Servers,
  measure: () => Promise<Part[]>,
): Promise<Pick<ModeResult, 'parts' | 'more'>> {
  const baseline = startBaseline(bench, servers);
  const before = await baseline.rates();
  const parts = await measure();
  const after = await baseline.rates();
  const mean = { noop: (before.noop + after.noop) / 2, activity: (before.activity + after.activity) / 2 };
  return {
    parts: parts.map((part) => withBaseline(part, mean)),
    more: {
      baselineActivityBeforePerSecond: before.activity,
      baselineActivityAfterPerSecond: after.activity,
      baselineCpuMsPerActivity:
        before.cpuMs === null || after.cpuMs === null ? null : (before.cpuMs + after.cpuMs) / 2,
    },
  };
}
