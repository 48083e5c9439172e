import { capacityCosts, type CapacityCosts } from './capacity-costs.ts';
import { loadOf, type CapacityInput, type CapacityLoad } from './capacity-load.ts';

export type CapacityLimit = {
  what: string;
  /** Its share in use: 1 is where it gives way. */
  used: number;
  /** Events a second, all else the same, at which it gives way; null: not within reach. */
  givesWayAt: number | null;
  remedy: string;
};

export type CapacityPlan = CapacityLoad & {
  /** What gives way first comes first. */
  limits: CapacityLimit[];
};

const MAX_EVENTS_PER_SECOND = 1_000_000;

/**
 * What is wrong with an input, each with what to do; empty: nothing.
 *
 * @example capacityFaults({ ...input, fanout: 0 }) // ['--fanout must be …']
 */
export function capacityFaults(input: CapacityInput): string[] {
  const { eventsPerSecond, fanout, failingPercent, retentionDays, eventBytes, processes } = input;
  const isWithin = (value: number, least: number, most: number) => value >= least && value <= most;
  const faults: string[] = [];
  if (!isWithin(eventsPerSecond, Number.MIN_VALUE, MAX_EVENTS_PER_SECOND))
    faults.push(
      '--events-per-second must be above 0 and at most 1000000, on average. More than that takes several cells, each with accounts of its own: ask for one cell',
    );
  if (!isWithin(fanout, Number.MIN_VALUE, 10_000))
    faults.push(
      '--fanout must be above 0 and at most 10000: the webhooks that match an event, on average. An event that matches none costs one row; leave such events out of --events-per-second',
    );
  if (!isWithin(failingPercent, 0, 100))
    faults.push('--failing must be from 0 to 100: percent of deliveries whose attempts all fail');
  if (!isWithin(retentionDays, 1, 3650))
    faults.push(
      '--retention-days must be from 1 to 3650. What is kept for ever grows for ever: give the days that you look ahead',
    );
  if (!isWithin(eventBytes, 1, 256 * 1024))
    faults.push('--event-bytes must be from 1 to 262144, which is all that the API takes');
  if (processes !== null && !(Number.isInteger(processes) && isWithin(processes, 1, 10_000)))
    faults.push(
      '--processes must be a whole number from 1 to 10000; leave it out to be told how many it takes',
    );
  return faults;
}

/**
 * What a load takes of each part, and what gives way first. Pure arithmetic on measured costs: an estimate to plan with,
 * within a factor of two. The input has no fault.
 *
 * @example planCapacity({ eventsPerSecond: 50, fanout: 2, failingPercent: 5, retentionDays: 90, eventBytes: 500, processes: null })
 */
export function planCapacity(input: CapacityInput, costs: CapacityCosts = capacityCosts): CapacityPlan {
  const load = loadOf(input, costs);
  const limits = limitsOf(costs).map(({ what, remedy, use }) => ({
    what,
    remedy,
    used: use(load),
    givesWayAt: findRate(input, costs, use),
  }));
  const at = ({ givesWayAt }: CapacityLimit) => givesWayAt ?? Number.POSITIVE_INFINITY;
  return { ...load, limits: limits.sort((a, b) => (at(a) === at(b) ? b.used - a.used : at(a) - at(b))) };
}

type Limit = { what: string; remedy: string; use(load: CapacityLoad): number };

function limitsOf(costs: CapacityCosts): Limit[] {
  return [
    {
      what: `${costs.composeShards} history shards, as docker-compose.yml has them`,
      use: (load) => load.historyWritesPerSecond / (costs.composeShards * costs.writesPerShard),
      remedy:
        'Give Temporal more history shards, for the largest load to come: their number is settled when its database is made, and later only a new Temporal has another one.',
    },
    {
      what: 'Temporal in one process',
      use: (load) => load.cores.temporal / (costs.coresOfTemporalInOneProcess * costs.utilization),
      remedy:
        "Run Temporal's frontend, history, matching and worker services apart, history on several machines (its Helm chart does that).",
    },
    {
      what: 'One PostgreSQL for the service and Temporal',
      use: (load) => load.cores.postgresql / (costs.coresOfOnePostgresql * costs.utilization),
      remedy:
        "Give the service, Temporal and Temporal's visibility a PostgreSQL each, and run docs/temporal/visibility-lean.sql.",
    },
    {
      what: "Temporal's PostgreSQL",
      use: (load) => load.transactionsPerSecond.temporal / costs.transactionsOfOnePostgresql,
      remedy:
        'Put Temporal on Cassandra, with Elasticsearch or OpenSearch for its visibility, or use Temporal Cloud.',
    },
    {
      what: "The service's PostgreSQL, by its transactions",
      use: (load) => load.transactionsPerSecond.ours / costs.transactionsOfOnePostgresql,
      remedy:
        'Make cells: each with a PostgreSQL, a Temporal namespace and processes of its own, and accounts spread over them.',
    },
    {
      what: "The service's PostgreSQL, by its size",
      use: (load) => load.gibKept.ours / costs.gibOfPlainTables,
      remedy:
        'Keep less (FLTR_RETENTION_DAYS, FLTR_PAYLOAD_RETENTION_DAYS), partition events, deliveries and attempts by day, or make cells by account.',
    },
  ];
}

/** The rate at which a use reaches 1, all else the same; null: not within what may be asked. */
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
