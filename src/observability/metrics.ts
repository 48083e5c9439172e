import { collectDefaultMetrics, Registry } from 'prom-client';
import { createDeliveryMetrics, type DeliveryMetrics } from './delivery-metrics.ts';
import { createHttpMetrics, type HttpMetrics } from './http-metrics.ts';
import { createPublishMetrics, type PublishMetrics } from './publish-metrics.ts';
import { watchState, type StateSources } from './state-metrics.ts';

export type Metrics = {
  publish: PublishMetrics;
  delivery: DeliveryMetrics;
  http: HttpMetrics;
  /** Adds gauges of the state that processes share. */
  watch(sources: StateSources): void;
  /** Everything, in Prometheus' text format. */
  read(): Promise<string>;
};

/** The metrics of one service, in a registry of its own. No label holds an id, a URL or an account: each has few known values. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  let state: ReturnType<typeof watchState> | null = null;
  return {
    publish: createPublishMetrics(registry),
    delivery: createDeliveryMetrics(registry),
    http: createHttpMetrics(registry),
    watch(sources) {
      state = watchState(registry, sources);
    },
    async read() {
      await state?.refresh();
      return registry.metrics();
    },
  };
}
