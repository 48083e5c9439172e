import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { createDeliveryMetrics } from './delivery-metrics.ts';
import { createHttpMetrics } from './http-metrics.ts';
import { aggregationOfDefaults, type MetricValues } from './metrics-sum.ts';
import { createOutboxMetrics, watchOutboxes, type OutboxReport } from './outbox-metrics.ts';
import { createPublishMetrics } from './publish-metrics.ts';
import { watchConnections, watchState, type ConnectionSources, type StateSources } from './state-metrics.ts';

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * The metrics of one service, in registries of its own. No label holds an id, a URL or an account: each has few known values.
 * Metrics of a process are added up over all processes of a service; gauges of the shared state are not.
 *
 * @param sumOfAll reads the metrics of all processes of this service, as text; by default, there is only this process
 * @param outboxes the names of those that this process relays
 */
export function createMetrics(sumOfAll?: () => Promise<string>, outboxes: readonly string[] = []) {
  const ofProcess = new Registry();
  const ofState = new Registry();
  collectDefaultMetrics({ register: ofProcess });
  for (const [name, aggregator] of Object.entries(aggregationOfDefaults))
    Object.assign(ofProcess.getSingleMetric(name) ?? {}, { aggregator });
  const help = 'Processes of the service that respond here.';
  new Gauge({ name: 'fltr_processes', help, registers: [ofProcess] }).set(1);
  let state: ReturnType<typeof watchState> | null = null;
  return {
    publish: createPublishMetrics(ofProcess),
    delivery: createDeliveryMetrics(ofProcess),
    http: createHttpMetrics(ofProcess),
    outbox: createOutboxMetrics(ofProcess, outboxes),
    /** Adds gauges of the state that processes share, and of this process's connections. */
    watch(sources: StateSources & ConnectionSources): void {
      watchConnections(ofProcess, sources);
      state = watchState(ofState, sources);
    },
    watchOutboxes: (read: () => readonly OutboxReport[]): void => watchOutboxes(ofState, read),
    /** Adds the number of open streams of this process. */
    watchStreams(count: () => number): void {
      const help = 'Open streams of changes.';
      const collect = function (this: Gauge): void {
        this.set(count());
      };
      ofProcess.registerMetric(new Gauge({ name: 'fltr_streams_open', help, registers: [], collect }));
    },
    /** Those of this process alone, to be added to others. */
    valuesOfProcess: (): Promise<MetricValues> => ofProcess.getMetricsAsJSON(),
    /** Everything, in Prometheus' text format. */
    async read(): Promise<string> {
      await state?.refresh();
      return `${await (sumOfAll ? sumOfAll() : ofProcess.metrics())}\n${await ofState.metrics()}`;
    },
  };
}
