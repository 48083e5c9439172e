import { setTimeout as delay } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';

/** Waiting deliveries, blocked lines, and webhooks that are not healthy, each counted up to a limit. */
export type Waiting = {
  pending: number;
  /** Those of `pending` whose time has not come. */
  scheduled: number;
  /** Those of `pending` that wait for the deliveries before them in their line. */
  inOrder: number;
  retrying: number;
  held: number;
  failing: number;
  down: number;
  blockedLines: number;
  /** How long the oldest row that is due for the reconciler has been due. */
  reconcilerLagSeconds: number;
  /** How long ago the oldest delivery was accepted whose workflow is not started. */
  oldestNotStartedSeconds: number;
};

export type ConnectionSources = {
  connections: { readonly totalCount: number; readonly idleCount: number; readonly waitingCount: number };
  maxConnections: number;
};

export type StateSources = {
  readWaiting(): Promise<Waiting>;
  isTemporalReachable(): Promise<boolean>;
  /** Null: this process counts no backlog. */
  backlog: { count(): number; max: number } | null;
};

/** The state is read only for a scrape, and for at most a hundredth of the time. */
const [minPauseMs, pausePerRead] = [5000, 100];
/** How long a scrape waits for the state; then it gets the last one that was read. */
const maxWaitMs = 1000;

const gaugesOf =
  (registry: Registry) =>
  (name: string, help: string, labelNames: string[] = [], collect?: (this: Gauge) => void) =>
    new Gauge({ name, help, labelNames, registers: [registry], ...(collect ? { collect } : {}) });

/** Gauges of one process's connections to PostgreSQL. */
export function watchConnections(
  registry: Registry,
  { connections, maxConnections }: ConnectionSources,
): void {
  const gauge = gaugesOf(registry);
  gauge('fltr_postgresql_connections_max', 'The maximum of connections in the pool.').set(maxConnections);
  gauge('fltr_postgresql_requests_waiting', 'Requests that wait for a connection.', [], function collect() {
    this.set(connections.waitingCount);
  });
  gauge('fltr_postgresql_connections', 'Connections of the pool.', ['state'], function collect() {
    this.set({ state: 'idle' }, connections.idleCount);
    this.set({ state: 'used' }, connections.totalCount - connections.idleCount);
  });
}

/** Gauges of waiting deliveries without labels: name and help. */
const figuresOfState = {
  scheduled: [
    'fltr_deliveries_scheduled',
    'Pending deliveries whose deliver_at has not come, counted up to a limit.',
  ],
  inOrder: [
    'fltr_deliveries_waiting_in_order',
    'Pending deliveries that wait for those before them in their order, counted up to a limit.',
  ],
  blockedLines: [
    'fltr_lines_blocked',
    'Order keys of webhooks that a failed delivery blocks, counted up to a limit.',
  ],
  reconcilerLagSeconds: [
    'fltr_reconciler_lag_seconds',
    'How long the oldest delivery that is due for the reconciler has been due.',
  ],
  oldestNotStartedSeconds: [
    'fltr_backlog_oldest_age_seconds',
    'Age of the oldest accepted delivery whose workflow is not started.',
  ],
} as const satisfies Partial<Record<keyof Waiting, readonly [string, string]>>;

/** Gauges of the state that processes share. `refresh` reads it again if the last read is old enough. */
export function watchState(registry: Registry, sources: StateSources): { refresh(): Promise<void> } {
  const { backlog } = sources;
  const gauge = gaugesOf(registry);

  const waiting = gauge('fltr_deliveries_waiting', 'Waiting deliveries by status, counted up to a limit.', [
    'status',
  ]);
  const unhealthy = gauge(
    'fltr_webhooks_unhealthy',
    'Active webhooks that are failing or down, counted up to a limit.',
    ['state'],
  );
  const figures = Object.entries(figuresOfState).map(
    ([key, [name, help]]) => [key as keyof typeof figuresOfState, gauge(name, help)] as const,
  );
  const isPostgresqlUp = gauge('fltr_postgresql_up', 'Whether PostgreSQL responded: 1 or 0.');
  const isTemporalUp = gauge('fltr_temporal_up', 'Whether Temporal responded: 1 or 0.');
  if (backlog) {
    const help = 'Accepted deliveries whose workflow is not started.';
    gauge('fltr_backlog_deliveries', help, [], function collect() {
      this.set(backlog.count());
    });
    gauge('fltr_backlog_max_deliveries', 'The backlog at which publishing responds with 503.').set(
      backlog.max,
    );
  }

  // A value that cannot be read is left out, not shown as 0 or as its last value.
  const clear = (): void => {
    for (const [, shown] of figures) shown.remove();
    for (const shown of [isTemporalUp, isPostgresqlUp]) shown.remove();
    waiting.reset();
    unhealthy.reset();
  };
  clear();
  const read = async (): Promise<void> => {
    const [state, isReachable] = await Promise.all([
      sources.readWaiting().catch(() => null),
      sources.isTemporalReachable(),
    ]);
    clear();
    isTemporalUp.set(isReachable ? 1 : 0);
    isPostgresqlUp.set(state ? 1 : 0);
    if (!state) return;
    for (const status of ['pending', 'retrying', 'held'] as const) waiting.set({ status }, state[status]);
    for (const name of ['failing', 'down'] as const) unhealthy.set({ state: name }, state[name]);
    for (const [key, shown] of figures) shown.set(state[key]);
  };

  let reading: Promise<void> | null = null;
  let nextReadAt = 0;
  const readAgain = async (): Promise<void> => {
    const startedAt = performance.now();
    await read();
    const now = performance.now();
    nextReadAt = now + Math.max(minPauseMs, pausePerRead * (now - startedAt));
    reading = null;
  };
  return {
    async refresh() {
      if (performance.now() >= nextReadAt) reading ??= readAgain();
      if (reading) await Promise.race([reading, delay(maxWaitMs, undefined, { ref: false })]);
    },
  };
}
