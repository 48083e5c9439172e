import { Gauge, type Registry } from 'prom-client';
import { instrumentsOf } from './instruments.ts';

export type OutboxState = 'ok' | 'delayed' | 'not_installed' | 'unavailable';
/**
 * `lagSeconds`: how long its oldest event has waited. `rows`: of its tables, each counted up to a limit. Null: not known.
 */
export type OutboxReport = {
  name: string;
  state: OutboxState;
  lagSeconds: number | null;
  rows: { waiting: number; refused: number } | null;
};

/** `names`: of the outboxes that are relayed; without one, there are no metrics of outboxes. */
export function createOutboxMetrics(registry: Registry, names: readonly string[]) {
  const none = (): void => undefined;
  if (names.length === 0) return { relayed: none, refused: none };
  const { counterBy } = instrumentsOf(registry);
  return {
    relayed: counterBy<string>(
      'fltr_outbox_events_relayed_total',
      'Events of an outbox that were accepted, duplicates included.',
      { outbox: names },
    ),
    refused: counterBy<string>(
      'fltr_outbox_events_refused_total',
      'Events of an outbox that were refused: they are in its table fltr_outbox.refused.',
      { outbox: names },
    ),
  };
}

/** Gauges of the outboxes, as this process sees them. */
export function watchOutboxes(registry: Registry, read: () => readonly OutboxReport[]): void {
  const gauge = (name: string, help: string, valueOf: (report: OutboxReport) => number | null): void => {
    function collect(this: Gauge): void {
      this.reset();
      for (const report of read()) {
        const value = valueOf(report);
        if (value !== null) this.set({ outbox: report.name }, value);
      }
    }
    registry.registerMetric(new Gauge({ name, help, labelNames: ['outbox'], registers: [], collect }));
  };
  gauge(
    'fltr_outbox_lag_seconds',
    'How long the oldest event of an outbox has waited for the relay.',
    ({ lagSeconds }) => lagSeconds,
  );
  gauge(
    'fltr_outbox_waiting',
    'Events that wait in an outbox, counted up to a limit.',
    ({ rows }) => rows?.waiting ?? null,
  );
  gauge(
    'fltr_outbox_refused',
    'Refused events of an outbox that were neither put back nor deleted, counted up to a limit.',
    ({ rows }) => rows?.refused ?? null,
  );
  gauge('fltr_outbox_up', 'Whether the outbox can be read: 1 or 0.', ({ lagSeconds }) =>
    lagSeconds === null ? 0 : 1,
  );
}
