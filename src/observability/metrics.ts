import { collectDefaultMetrics, Registry } from 'prom-client';
import { createDeliveryMetrics } from './delivery-metrics.ts';
import { createHttpMetrics } from './http-metrics.ts';
import { createPublishMetrics } from './publish-metrics.ts';
import { watchState, type StateSources } from './state-metrics.ts';

export type Metrics = ReturnType<typeof createMetrics>;

/** The metrics of one service, in a registry of its own. No label holds an id, a URL or an account: each has few known values. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  let state: ReturnType<typeof watchState> | null = null;
  return {
    publish: createPublishMetrics(registry),
    delivery: createDeliveryMetrics(registry),
    http: createHttpMetrics(registry),
    /** Adds gauges of the state that processes share. */
    watch(sources: StateSources): void {
      state = watchState(registry, sources);
    },
    /** Everything, in Prometheus' text format. */
    async read(): Promise<string> {
      await state?.refresh();
      return registry.metrics();
    },
  };
}
