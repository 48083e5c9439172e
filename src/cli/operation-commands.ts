import { setTimeout as delay } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import { deliveryActions, type DeliveryAction, type Operation } from '../contracts/operation.ts';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { apiCommand, callAndPrint, given, type ApiOptions } from './api-command.ts';
import { addFilters, addStatus, toQuery, type Filters } from './delivery-commands.ts';
import { countsText, fields, pageText } from './text-output.ts';
import { table } from './table.ts';

type ActOptions = ApiOptions &
  Filters & {
    perSecond?: string;
    nextAttemptAt?: string;
    dryRun?: true;
    wait: boolean;
  };

/** `deliveries act`, with its progress, and `operations` to control it. */
export function addOperationCommands(program: Command): void {
  const deliveries = program.commands.find((command) => command.name() === 'deliveries');
  if (!deliveries) throw new Error('`deliveries` is added first');
  const act = apiCommand(
    deliveries,
    'act <action> [ids...]',
    'retry, cancel, reschedule or resend many deliveries',
  );
  const [action] = act.registeredArguments;
  action?.choices(deliveryActions);
  addStatus(addFilters(act))
    .option(
      '--since <time>',
      'accepted at or after this time, such as 2026-01-10T12:00:00Z; required without ids, --event-id and --operation',
    )
    .option('--until <time>', 'accepted before this time (default: now)')
    .option('--per-second <number>', 'most deliveries in a second, 1 to 1000 (default: 50)')
    .option('--next-attempt-at <time>', 'of reschedule: the time of the next attempt')
    .option('--dry-run', 'only count the deliveries')
    .option('--no-wait', 'do not wait until it has ended')
    .action(callAndPrint(actOn, actedText, ({ dry_run, failed }) => !dry_run && failed > 0));
  const operations = program
    .command('operations')
    .description('list, show, pause, resume and cancel operations on many deliveries');
  apiCommand(operations, 'list', 'list operations, newest first')
    .addOption(new Option('--limit <number>', 'number of operations, 1 to 100').default('20'))
    .option('--cursor <cursor>', 'continue from this cursor')
    .action(
      callAndPrint(
        (client, { limit, cursor }: { limit: string; cursor?: string }) =>
          client.listOperations({ limit: Number(limit), ...given({ cursor }) }),
        pageText(operationTable),
      ),
    );
  apiCommand(operations, 'show <id>', 'show an operation').action(
    callAndPrint((client, id: string) => client.getOperation(id), operationText),
  );
  apiCommand(operations, 'pause <id>', 'pause an operation').action(
    callAndPrint((client, id: string) => client.pauseOperation(id), operationText),
  );
  apiCommand(operations, 'resume <id>', 'continue a paused operation').action(
    callAndPrint((client, id: string) => client.resumeOperation(id), operationText),
  );
  apiCommand(
    operations,
    'cancel <id>',
    'cancel an operation; deliveries that it has acted on keep their new state',
  ).action(callAndPrint((client, id: string) => client.cancelOperation(id), operationText));
}

async function actOn(
  client: FltrWebhooks,
  action: DeliveryAction,
  ids: string[],
  options: ActOptions,
): Promise<Operation> {
  const { perSecond, nextAttemptAt, dryRun, wait, json } = options;
  const operation = await client.actOnDeliveries({
    action,
    filter: { ...toQuery(options), ...(ids.length === 0 ? {} : { ids }) },
    ...given({
      per_second: perSecond === undefined ? undefined : Number(perSecond),
      next_attempt_at: nextAttemptAt,
      dry_run: dryRun,
    }),
  });
  if (operation.dry_run || !wait) return operation;
  if (!json) console.error(`${operation.id}: continues if you press Ctrl-C; \`operations pause\` pauses it.`);
  return waitForEnd(operation, () => client.getOperation(operation.id), !json);
}

const pollMs = 500;
const barWidth = 30;

type Job = Pick<Operation, 'total' | 'done' | 'failed' | 'status' | 'ended_at'>;

/** Waits until a job of the service has ended, with a progress bar. It continues in the service if the command is stopped. */
export async function waitForEnd<J extends Job>(
  started: J,
  read: () => Promise<J>,
  isShown: boolean,
): Promise<J> {
  const isTerminal = isShown && process.stderr.isTTY;
  let job = started;
  while (job.ended_at === null) {
    if (isTerminal) process.stderr.write(`\r${bar(job)}`);
    await delay(pollMs);
    job = await read();
  }
  if (isTerminal) process.stderr.write(`\r${bar(job)}\n`);
  return job;
}

/** @example bar({ total: 10, done: 5, … }) // '[###############...............]  50 %  5 of 10, running' */
function bar({ total, done, failed, status }: Job): string {
  const share = total === 0 ? 1 : Math.min(1, (done + failed) / total);
  const filled = Math.round(share * barWidth);
  const text = `${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}`;
  return `[${text}] ${String(Math.floor(share * 100)).padStart(3)} %  ${done + failed} of ${total}, ${status}`;
}

const actedText = (operation: Operation): string =>
  operation.dry_run ? `${operation.total} deliveries match. Nothing was done.` : operationText(operation);

function operationText(operation: Operation): string {
  const { id, action, status, total, done, failed, failures, outcome, per_second, created_at } = operation;
  return fields({
    id,
    action,
    status,
    total,
    done,
    failed,
    because:
      failures.length === 0
        ? undefined
        : countsText(Object.fromEntries(failures.map(({ reason, count }) => [reason, count]))),
    outcome: outcome ? countsText(outcome) : undefined,
    webhook: operation.filter.webhook_id,
    since: operation.filter.since,
    until: operation.filter.until,
    'per second': per_second,
    'next attempt': operation.next_attempt_at ?? undefined,
    'requested by': operation.requested_by,
    created: created_at,
  });
}

function operationTable(operations: readonly Operation[]): string {
  if (operations.length === 0) return 'No operations.';
  return table(
    operations.map(({ id, action, status, total, done, failed, created_at }) => ({
      id,
      action,
      status,
      total,
      done,
      failed,
      created: created_at,
    })),
  );
}
