import { Option, type Command } from 'commander';
import { recoveryKinds, type Recovery, type RecoveryKind } from '../contracts/recovery.ts';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { apiCommand, callAndPrint, given, type ApiOptions } from './api-command.ts';
import { waitForEnd } from './operation-commands.ts';
import { countsText, fields } from './text-output.ts';

type RecoverOptions = ApiOptions & {
  since: string;
  until?: string;
  only?: RecoveryKind;
  dryRun?: true;
  wait: boolean;
};

/** `recover`, with its progress, and `recoveries` to control one. */
export function addRecoverCommands(program: Command): void {
  apiCommand(
    program,
    'recover <webhook>',
    'resend the failed deliveries of a webhook, and the events that it missed',
  )
    .requiredOption('--since <time>', 'events accepted at or after this time, such as 2026-01-10T12:00:00Z')
    .option('--until <time>', 'events accepted before this time (default: now)')
    .addOption(new Option('--only <kind>', 'only one of the two (default: both)').choices(recoveryKinds))
    .option('--dry-run', 'only count the deliveries')
    .option('--no-wait', 'do not wait until it has ended')
    .action(callAndPrint(recover, recoveredText, ({ dry_run, failed }) => !dry_run && failed > 0));
  const recoveries = program.command('recoveries').description('show, pause, resume and cancel recoveries');
  apiCommand(recoveries, 'show <id>', 'show a recovery').action(
    callAndPrint((client, id: string) => client.getRecovery(id), recoveryText),
  );
  apiCommand(recoveries, 'pause <id>', 'pause a recovery').action(
    callAndPrint((client, id: string) => client.pauseRecovery(id), recoveryText),
  );
  apiCommand(recoveries, 'resume <id>', 'continue a paused recovery').action(
    callAndPrint((client, id: string) => client.resumeRecovery(id), recoveryText),
  );
  apiCommand(
    recoveries,
    'cancel <id>',
    'cancel a recovery; deliveries that it has already resent continue',
  ).action(callAndPrint((client, id: string) => client.cancelRecovery(id), recoveryText));
}

async function recover(client: FltrWebhooks, webhook: string, options: RecoverOptions): Promise<Recovery> {
  const { since, until, only, dryRun, wait, json } = options;
  const recovery = await client.recoverWebhook(webhook, {
    since,
    ...given({ until, only, dry_run: dryRun }),
  });
  if (recovery.dry_run || !wait) return recovery;
  if (!json) console.error(`${recovery.id}: continues if you press Ctrl-C; \`recoveries pause\` pauses it.`);
  return waitForEnd(recovery, () => client.getRecovery(recovery.id), !json);
}

const recoveredText = (recovery: Recovery): string =>
  recovery.dry_run ? `${recovery.total} would be resent. Nothing was sent.` : recoveryText(recovery);

function recoveryText(recovery: Recovery): string {
  const { id, status, total, done, failed, outcome, since, until, webhook_id } = recovery;
  return fields({
    id,
    webhook: webhook_id,
    status,
    total,
    resent: done,
    'not resent': failed,
    outcome: outcome ? countsText(outcome) : undefined,
    since,
    until,
  });
}
