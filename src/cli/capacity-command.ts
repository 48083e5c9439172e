import type { Command } from 'commander';
import { capacityFaults, planCapacity, type CapacityPlan } from './capacity-estimate.ts';
import { capacityCosts } from './capacity-costs.ts';
import type { CapacityInput } from './capacity-load.ts';
import { wrongUse } from './exit-codes.ts';
import { table } from './table.ts';

type Options = {
  eventsPerSecond: string;
  fanout: string;
  failing: string;
  retentionDays: string;
  eventBytes: string;
  processes?: string;
  json?: boolean;
};

/** `capacity`: what a load takes of each part, and what gives way first. It needs neither settings nor a database. */
export function addCapacityCommand(program: Command): void {
  program
    .command('capacity')
    .description('estimate what a load takes of each part, and what gives way first')
    .requiredOption('--events-per-second <number>', 'events a second, on average')
    .option('--fanout <number>', 'webhooks that match an event, on average', '1')
    .option('--failing <percent>', 'deliveries whose attempts all fail', '1')
    .option('--retention-days <days>', 'how long the log is kept', '90')
    .option('--event-bytes <bytes>', "an event's body, on average", '500')
    .option('--processes <number>', 'processes of the service; left out: as many as it takes')
    .option('--json', 'for programs')
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
      const plan = planCapacity(input);
      console.log(options.json ? JSON.stringify({ input, plan }, null, 2) : describe(input, plan));
    });
}

/** NaN for what is no number, an empty text among it: no range takes it. */
function toNumber(text: string): number {
  return text.trim() === '' ? Number.NaN : Number(text);
}

const digits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const say = (value: number): string => digits.format(value);

function describe(input: CapacityInput, plan: CapacityPlan): string {
  const { cores, gibPerDay, gibKept, transactionsPerSecond, limits } = plan;
  const row = (part: string, takes: string, note = '') => ({ part, takes, note });
  const isTooFew = input.processes !== null && plan.processesNeeded > input.processes;
  const rows = [
    row('deliveries', `${say(plan.deliveriesPerSecond)} /s`),
    row('requests to receivers', `${say(plan.attemptsPerSecond)} /s`, 'with retries'),
    row(
      'workflow starts',
      `${say(plan.workflowStartsPerSecond)} /s`,
      `first attempts: ${say(plan.deliveriesPerWorkflow)} a workflow`,
    ),
    row('workflows that wait for a retry', say(plan.waitingWorkflows)),
    row(
      'history shards',
      say(plan.historyShards),
      `${say(plan.historyWritesPerSecond)} writes a second; never to be changed later`,
    ),
    row(
      'processes of the service',
      say(plan.processesNeeded),
      isTooFew ? `${input.processes} are too few` : `${say(cores.node)} cores in use`,
    ),
    row("Temporal's cores", say(cores.temporal)),
    row("PostgreSQL's cores", say(cores.postgresql), 'the service and Temporal together'),
    row(
      "the service's database",
      `${say(gibPerDay.ours)} GiB a day`,
      `${say(transactionsPerSecond.ours)} transactions/s; ${say(gibKept.ours)} GiB after ${say(input.retentionDays)} days`,
    ),
    row(
      "Temporal's databases",
      `${say(gibPerDay.temporal)} GiB a day`,
      `${say(transactionsPerSecond.temporal)} transactions/s; ${say(gibKept.temporal)} GiB after ${capacityCosts.temporalRetentionDays} days`,
    ),
    row(
      'Temporal Cloud instead',
      `${say(plan.actionsPerMonth / 1e6)} M actions a month`,
      `${say(plan.actionsPerSecond)} actions/s; a new namespace takes ${capacityCosts.actionsPerSecondOfNamespace}`,
    ),
    row(
      'webhooks',
      `${say(plan.webhooksNeeded)} or more`,
      `each takes ${say(capacityCosts.attemptsPerWebhookAndHour)} requests an hour (FLTR_DELIVERIES_PER_HOUR)`,
    ),
  ];
  const order = limits.map(({ what, givesWayAt, used, remedy }, index) => {
    const at = givesWayAt === null ? 'not within reach' : `at ${say(givesWayAt)} events/s`;
    return `${index + 1}. ${what}: ${at}, ${say(used * 100)} % in use.\n   ${remedy}`;
  });
  return [
    `${say(input.eventsPerSecond)} events/s of ${say(input.eventBytes)} bytes, ${say(input.fanout)} webhooks each, ${say(input.failingPercent)} % of the deliveries failing:`,
    table(rows),
    'What gives way, in this order, and what to do then:',
    order.join('\n'),
    'An estimate on measured costs, on average and without peaks: good within a factor of two. See docs/scaling.md.',
  ].join('\n\n');
}
