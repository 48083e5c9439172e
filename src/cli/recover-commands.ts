import { setTimeout as delay } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import { recoveryKinds, type Recovery, type RecoveryKind } from '../contracts/recovery.ts';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { apiCommand, callAndPrint, connect, print, type ApiOptions } from './api-command.ts';
import { fields } from './text-output.ts';

type RecoverOptions = ApiOptions & {
  since: string;
  until?: string;
  only?: string;
  dryRun?: boolean;
  wait: boolean;
};

/** `recover`, with its progress, and `recoveries` to control one. */
export function addRecoverCommands(program: Command): void {
  apiCommand(program, 'recover <webhook>')
    .description('resend the failed deliveries of a webhook, and the events that it missed')
    .requiredOption('--since <time>', 'events accepted at or after this time, such as 2026-01-10T12:00:00Z')
    .option('--until <time>', 'events accepted before this time (default: now)')
    .addOption(new Option('--only <kind>', 'only one of the two (default: both)').choices(recoveryKinds))
    .option('--dry-run', 'only count the deliveries')
    .option('--no-wait', 'do not wait until it has ended')
    .action(async (webhook: string, options: RecoverOptions) => {
      const { client } = await connect(options);
      const recovery = await client.recoverWebhook(webhook, {
        since: options.since,
        ...(options.until === undefined ? {} : { until: options.until }),
        ...(options.only === undefined ? {} : { only: options.only as RecoveryKind }),
        ...(options.dryRun ? { dry_run: true } : {}),
      });
      if (recovery.dry_run)
        return print(options, recovery, ({ total }) => `${total} would be resent. Nothing was sent.`);
      const ended = options.wait ? await waitForEnd(client, recovery, options.json !== true) : recovery;
      print(options, ended, recoveryText);
      if (ended.failed > 0) process.exitCode = 1;
    });
  const recoveries = program.command('recoveries').description('show, pause, resume and cancel recoveries');
  callAndPrint(apiCommand(recoveries, 'show <id>'), (client, id) => client.getRecovery(id), recoveryText);
  callAndPrint(apiCommand(recoveries, 'pause <id>'), (client, id) => client.pauseRecovery(id), recoveryText);
  callAndPrint(
    apiCommand(recoveries, 'resume <id>'),
    (client, id) => client.resumeRecovery(id),
    recoveryText,
  );
  callAndPrint(
    apiCommand(recoveries, 'cancel <id>'),
    (client, id) => client.cancelRecovery(id),
    recoveryText,
  );
}

const pollMs = 500;
const barWidth = 30;

/** Waits until the recovery has ended, with a progress bar. It continues in the service if the command is stopped. */
async function waitForEnd(client: FltrWebhooks, started: Recovery, isShown: boolean): Promise<Recovery> {
  const isTerminal = process.stderr.isTTY;
  let recovery = started;
  if (isShown)
    console.error(`${recovery.id}: continues if you press Ctrl-C; \`recoveries pause\` pauses it.`);
  while (recovery.ended_at === null) {
    if (isShown && isTerminal) process.stderr.write(`\r${bar(recovery)}`);
    await delay(pollMs);
    recovery = await client.getRecovery(recovery.id);
  }
  if (isShown && isTerminal) process.stderr.write(`\r${bar(recovery)}\n`);
  return recovery;
}

/** @example bar({ total: 10, done: 5, … }) // '[###############...............]  50 %  5 of 10, running' */
function bar({
  total,
  done,
  failed,
  status,
}: Pick<Recovery, 'total' | 'done' | 'failed' | 'status'>): string {
  const share = total === 0 ? 1 : Math.min(1, (done + failed) / total);
  const filled = Math.round(share * barWidth);
  const text = `${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}`;
  return `[${text}] ${String(Math.floor(share * 100)).padStart(3)} %  ${done + failed} of ${total}, ${status}`;
}

function recoveryText(recovery: Recovery): string {
  const { id, status, total, done, failed, outcome, since, until, webhook_id } = recovery;
  return fields({
    id,
    webhook: webhook_id,
    status,
    total,
    resent: done,
    'not resent': failed,
    outcome: outcome ? outcomeText(outcome) : undefined,
    since,
    until,
  });
}

/** @example outcomeText({ delivered: 8, failed: 1, canceled: 0, waiting: 0 }) // '8 delivered, 1 failed' */
const outcomeText = (outcome: NonNullable<Recovery['outcome']>): string =>
  Object.entries(outcome)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ') || '-';
