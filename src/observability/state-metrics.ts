import { setTimeout as delay } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';

/** What waits now; counted up to a bound. */
export type Waiting = {
  pending: number;
  retrying: number;
  held: number;
  /** How long the oldest row that is due for the reconciler has been due. */
  reconcilerLagSeconds: number;
  /** How long ago the oldest delivery was accepted whose workflow is not started. */
  oldestNotStartedSeconds: number;
};

export type StateSources = {
  connections: { readonly totalCount: number; readonly idleCount: number; readonly waitingCount: number };
  maxConnections: number;
  readWaiting(): Promise<Waiting>;
  isTemporalReachable(): Promise<boolean>;
  /** Null where this process counts no backlog. */
  backlog: { count(): number; max: number } | null;
};

/** Of the database's time, looking takes at most a hundredth, and nothing while nobody asks. */
const [leastPauseMs, pausePerLook] = [5000, 100];
/** So long an answer waits for a look that is under way; then it holds what was seen before. */
const patienceMs = 1000;

/** Gauges of the state that processes share. `refresh` looks again where the last look is old enough. */
export function watchState(registry: Registry, sources: StateSources): { refresh(): Promise<void> } {
  const { connections, maxConnections, backlog } = sources;
  const gauge = (name: string, help: string, labelNames: string[] = [], collect?: (this: Gauge) => void) =>
    new Gauge({ name, help, labelNames, registers: [registry], ...(collect ? { collect } : {}) });

  const waiting = gauge(
    'fltr_deliveries_waiting',
    'Deliveries that wait, by status; counted up to a bound.',
    ['status'],
  );
  const reconcilerLag = gauge(
    'fltr_reconciler_lag_seconds',
    'How long the oldest delivery that is due for the reconciler has been due.',
  );
  const oldest = gauge(
    'fltr_backlog_oldest_age_seconds',
    'How long ago the oldest delivery was accepted whose workflow is not started.',
  );
  const isPostgresqlUp = gauge('fltr_postgresql_up', 'Whether PostgreSQL answered: 1 or 0.');
  const isTemporalUp = gauge('fltr_temporal_up', 'Whether Temporal answered: 1 or 0.');
  gauge('fltr_postgresql_connections_max', "The most connections of this process's pool.").set(
    maxConnections,
  );
  gauge('fltr_postgresql_requests_waiting', 'Requests that wait for a connection.', [], function collect() {
    this.set(connections.waitingCount);
  });
  gauge('fltr_postgresql_connections', "Connections of this process's pool.", ['state'], function collect() {
    this.set({ state: 'idle' }, connections.idleCount);
    this.set({ state: 'used' }, connections.totalCount - connections.idleCount);
  });
  if (backlog) {
    const help = 'Accepted deliveries whose workflow is not started.';
    gauge('fltr_backlog_deliveries', help, [], function collect() {
      this.set(backlog.count());
    });
    gauge('fltr_backlog_max_deliveries', 'As many make publishing answer 503.').set(backlog.max);
  }

  // What cannot be seen is not shown, neither as 0 nor as it was.
  const forget = (): void => {
    for (const shown of [reconcilerLag, oldest, isTemporalUp, isPostgresqlUp]) shown.remove();
    waiting.reset();
  };
  forget();
  const look = async (): Promise<void> => {
    const [seen, isReachable] = await Promise.all([
      sources.readWaiting().catch(() => null),
      sources.isTemporalReachable(),
    ]);
    forget();
    isTemporalUp.set(isReachable ? 1 : 0);
    isPostgresqlUp.set(seen ? 1 : 0);
    if (!seen) return;
    for (const status of ['pending', 'retrying', 'held'] as const) waiting.set({ status }, seen[status]);
    reconcilerLag.set(seen.reconcilerLagSeconds);
    oldest.set(seen.oldestNotStartedSeconds);
  };

  let underWay: Promise<void> | null = null;
  let nextLookAt = 0;
  const lookAgain = async (): Promise<void> => {
    const startedAt = performance.now();
    await look();
    const now = performance.now();
    nextLookAt = now + Math.max(leastPauseMs, pausePerLook * (now - startedAt));
    underWay = null;
  };
  return {
    async refresh() {
      if (performance.now() >= nextLookAt) underWay ??= lookAgain();
      if (underWay) await Promise.race([underWay, delay(patienceMs, undefined, { ref: false })]);
    },
  };
}
