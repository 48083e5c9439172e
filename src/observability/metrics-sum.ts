import { AggregatorRegistry, type Registry } from 'prom-client';

export type MetricValues = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/**
 * How the metrics that prom-client makes for each process are put together, where its own way would hide one process: of
 * delays the longest counts, and of starts the latest. All others are added up, as it does by itself.
 */
export const aggregationOfDefaults = {
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max',
  process_start_time_seconds: 'max',
} as const;

const add = (all: MetricValues[]): Registry => AggregatorRegistry.aggregate(all);

/**
 * The metrics of several processes as those of one. The counters of a process that has ended stay in the sum, so that no
 * counter ever falls.
 *
 * @example sum.set(1, await registry.getMetricsAsJSON()); sum.end(1); await sum.read()
 */
export function createMetricsSum() {
  const current = new Map<number, MetricValues>();
  let ofEnded: MetricValues = [];
  return {
    /** The present metrics of that process. */
    set: (process: number, values: MetricValues): void => void current.set(process, values),
    /** From now on its counters stay as they were last, and its gauges are gone. */
    end(process: number): void {
      const last = current.get(process) ?? [];
      current.delete(process);
      const counted = last.filter(({ type }) => isCounted(String(type)));
      ofEnded = add([ofEnded, counted]).getMetricsAsArray() as MetricValues;
    },
    /** In Prometheus' text format. */
    read: (): Promise<string> => add([...current.values(), ofEnded]).metrics(),
  };
}

const isCounted = (type: string): boolean => type === 'counter' || type === 'histogram';
