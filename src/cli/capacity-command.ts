import type { Command } from 'commander';
import { capacityFaults, estimateCapacity, type CapacityEstimate } from './capacity-estimate.ts';
import { capacityCosts } from './capacity-costs.ts';
import type { CapacityInput } from './capacity-load.ts';
import { wrongUse } from './exit-codes.ts';
import { table } from './table.ts';

type Numbers = Record<'eventsPerSecond' | 'fanout' | 'failing' | 'retentionDays' | 'eventBytes', string>;
type Options = Numbers & { processes?: string; json?: true };

/** `capacity`: needs neither settings nor a database. */
export function addCapacityCommand(program: Command): void {
  program
    .command('capacity')
    .description('estimate the resources that a load needs, and which limit it reaches first')
    .requiredOption('--events-per-second <number>', 'average events per second')
    .option('--fanout <number>', 'average number of webhooks per event', '1')
    .option('--failing <percent>', 'percentage of deliveries whose attempts all fail', '1')
    .option('--retention-days <days>', 'how long deliveries are kept', '90')
    .option('--event-bytes <bytes>', 'average size of an event', '500')
    .option('--processes <number>', 'number of service processes (default: as many as needed)')
    .option('--json', 'print JSON')
    .action((options: Options) => {
      const input: CapacityInput = {
        eventsPerSecond: toNumber(options.eventsPerSecond),
        fanout: toNumber(options.fanout),
        failingPercent: toNumber(options.failing),
        retentionDays: toNumber(options.retentionDays),
        eventBytes: toNumber(options.eventBytes),
        processes: options.processes === undefined ? null : toNumber(options.processes),
      };
      const faults = capacityFaults(input);
      if (faults.length > 0) throw wrongUse(faults.map((fault) => `${fault}.`).join('\n'));
      const estimate = estimateCapacity(input);
      console.log(options.json ? JSON.stringify({ input, estimate }, null, 2) : describe(input, estimate));
    });
}

/** NaN for an empty string too, which fails every range check. */
function toNumber(text: string): number {
  return text.trim() === '' ? Number.NaN : Number(text);
}

const digits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const format = (value: number): string => digits.format(value);

function describe(input: CapacityInput, estimate: CapacityEstimate): string {
  const { cores, gibPerDay, gibKept, transactionsPerSecond, limits } = estimate;
  const row = (part: string, needs: string, note = '') => ({ part, needs, note });
  const isTooFew = input.processes !== null && estimate.processesNeeded > input.processes;
  const rows = [
    row('deliveries', `${format(estimate.deliveriesPerSecond)} /s`),
    row('requests to receivers', `${format(estimate.attemptsPerSecond)} /s`, 'with retries'),
    row(
      'workflow starts',
      `${format(estimate.workflowStartsPerSecond)} /s`,
      `first attempts per workflow: ${format(estimate.deliveriesPerWorkflow)}`,
    ),
    row('workflows waiting for a retry', format(estimate.waitingWorkflows)),
    row(
      'history shards',
      format(estimate.historyShards),
      `${format(estimate.historyWritesPerSecond)} writes/s; cannot be changed later`,
    ),
    row(
      'service processes',
      format(estimate.processesNeeded),
      isTooFew ? `${input.processes} are not enough` : `${format(cores.node)} cores used`,
    ),
    row("Temporal's cores", format(cores.temporal)),
    row("PostgreSQL's cores", format(cores.postgresql), 'for the service and Temporal'),
    row(
      "the service's database",
      `${format(gibPerDay.ours)} GiB/day`,
      `${format(transactionsPerSecond.ours)} transactions/s; ${format(gibKept.ours)} GiB after ${format(input.retentionDays)} days`,
    ),
    row(
      "Temporal's databases",
      `${format(gibPerDay.temporal)} GiB/day`,
      `${format(transactionsPerSecond.temporal)} transactions/s; ${format(gibKept.temporal)} GiB after ${capacityCosts.temporalRetentionDays} days`,
    ),
    row(
      'Temporal Cloud instead',
      `${format(estimate.actionsPerMonth / 1e6)} M actions/month`,
      `${format(estimate.actionsPerSecond)} actions/s; a new namespace allows ${capacityCosts.actionsPerSecondOfNamespace}`,
    ),
    row(
      'webhooks',
      `${format(estimate.webhooksNeeded)} or more`,
      `each allows ${format(capacityCosts.attemptsPerWebhookAndHour)} requests per hour (FLTR_DELIVERIES_PER_HOUR)`,
    ),
  ];
  const order = limits.map(({ name, reachedAt, used, remedy }, index) => {
    const at = reachedAt === null ? 'out of range' : `at ${format(reachedAt)} events/s`;
    return `${index + 1}. ${name}: ${at}, ${format(used * 100)} % used.\n   ${remedy}`;
  });
  return [
    `${format(input.eventsPerSecond)} events/s of ${format(input.eventBytes)} bytes, ${format(input.fanout)} webhooks each, ${format(input.failingPercent)} % of the deliveries failing:`,
    table(rows),
    'Limits in the order in which they are reached, with the remedy:',
    order.join('\n'),
    'An estimate from measured costs, for average load without peaks, accurate within a factor of two. See docs/scaling.md.',
  ].join('\n\n');
}
