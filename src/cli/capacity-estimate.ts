import { capacityCosts, type CapacityCosts } from './capacity-costs.ts';
import { loadOf, type CapacityInput, type CapacityLoad } from './capacity-load.ts';

export type CapacityLimit = {
  name: string;
  /** The used share of the limit; 1 is reached. */
  used: number;
  /** Events per second, all else equal, at which the limit is reached; null if it is out of range. */
  reachedAt: number | null;
  remedy: string;
};

export type CapacityEstimate = CapacityLoad & {
  /** In the order in which they are reached. */
  limits: CapacityLimit[];
};

const MAX_EVENTS_PER_SECOND = 1_000_000;

/**
 * The faults of an input, each with its remedy.
 *
 * @example capacityFaults({ ...input, fanout: 0 }) // ['--fanout must be …']
 */
export function capacityFaults(input: CapacityInput): string[] {
  const { eventsPerSecond, fanout, failingPercent, retentionDays, eventBytes, processes } = input;
  const isWithin = (value: number, least: number, most: number) => value >= least && value <= most;
  const faults: string[] = [];
  if (!isWithin(eventsPerSecond, Number.MIN_VALUE, MAX_EVENTS_PER_SECOND))
    faults.push(
      '--events-per-second must be above 0 and at most 1000000, on average. A larger load needs several cells, each with its own accounts: estimate one cell',
    );
  if (!isWithin(fanout, Number.MIN_VALUE, 10_000))
    faults.push(
      '--fanout must be above 0 and at most 10000: the average number of webhooks per event. An event without a webhook costs one row; leave such events out of --events-per-second',
    );
  if (!isWithin(failingPercent, 0, 100))
    faults.push('--failing must be from 0 to 100: the percentage of deliveries whose attempts all fail');
  if (!isWithin(retentionDays, 1, 3650))
    faults.push(
      '--retention-days must be from 1 to 3650. Without retention, give the number of days to plan for',
    );
  if (!isWithin(eventBytes, 1, 256 * 1024))
    faults.push('--event-bytes must be from 1 to 262144, the largest event that the API accepts');
  if (processes !== null && !(Number.isInteger(processes) && isWithin(processes, 1, 10_000)))
    faults.push('--processes must be a whole number from 1 to 10000; leave it out to have it estimated');
  return faults;
}

/**
 * Estimates the resources that a load needs, and which limit it reaches first, from measured costs and within a factor of
 * two. The input must have no faults.
 *
 * @example estimateCapacity({ eventsPerSecond: 50, fanout: 2, failingPercent: 5, retentionDays: 90, eventBytes: 500, processes: null })
 */
export function estimateCapacity(
  input: CapacityInput,
  costs: CapacityCosts = capacityCosts,
): CapacityEstimate {
  const load = loadOf(input, costs);
  const limits = limitsOf(costs).map(({ name, remedy, use }) => ({
    name,
    remedy,
    used: use(load),
    reachedAt: findRate(input, costs, use),
  }));
  const at = ({ reachedAt }: CapacityLimit) => reachedAt ?? Number.POSITIVE_INFINITY;
  return { ...load, limits: limits.sort((a, b) => (at(a) === at(b) ? b.used - a.used : at(a) - at(b))) };
}

type Limit = { name: string; remedy: string; use(load: CapacityLoad): number };

function limitsOf(costs: CapacityCosts): Limit[] {
  return [
    {
      name: `${costs.composeShards} history shards, as docker-compose.yml has them`,
      use: (load) => load.historyWritesPerSecond / (costs.composeShards * costs.writesPerShard),
      remedy:
        'Give Temporal more history shards, enough for the largest load ever expected: the number is fixed when its database is created.',
    },
    {
      name: 'Temporal in one process',
      use: (load) => load.cores.temporal / (costs.coresOfTemporalInOneProcess * costs.utilization),
      remedy:
        "Run Temporal's frontend, history, matching and worker services separately, history on several machines (its Helm chart does that).",
    },
    {
      name: 'One PostgreSQL for the service and Temporal',
      use: (load) => load.cores.postgresql / (costs.coresOfOnePostgresql * costs.utilization),
      remedy:
        "Use separate PostgreSQL servers for the service, Temporal and Temporal's visibility, and run docs/temporal/visibility-lean.sql.",
    },
    {
      name: "Temporal's PostgreSQL",
      use: (load) => load.transactionsPerSecond.temporal / costs.transactionsOfOnePostgresql,
      remedy:
        'Run Temporal on Cassandra with Elasticsearch or OpenSearch for visibility, or use Temporal Cloud.',
    },
    {
      name: "The service's PostgreSQL, by its transactions",
      use: (load) => load.transactionsPerSecond.ours / costs.transactionsOfOnePostgresql,
      remedy: 'Split into cells, each with its own PostgreSQL, Temporal namespace, processes and accounts.',
    },
    {
      name: "The service's PostgreSQL, by its size",
      use: (load) => load.gibKept.ours / costs.gibOfPlainTables,
      remedy:
        'Shorten the retention (FLTR_RETENTION_DAYS, FLTR_PAYLOAD_RETENTION_DAYS), partition events, deliveries and attempts by day, or split into cells by account.',
    },
  ];
}

/** The event rate at which a limit is reached, all else equal; null if it is above the accepted range. */
function findRate(input: CapacityInput, costs: CapacityCosts, use: Limit['use']): number | null {
  const isOver = (eventsPerSecond: number) =>
    use(loadOf({ ...input, eventsPerSecond, processes: null }, costs)) >= 1;
  let [low, high] = [0, MAX_EVENTS_PER_SECOND];
  if (!isOver(high)) return null;
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (isOver(middle)) high = middle;
    else low = middle;
  }
  return high;
}
