import type { Command } from 'commander';
import type { Attempt } from '../contracts/attempt-schema.ts';
import type { WebhookRangeStats } from '../contracts/stats.ts';
import type { WebhookStats } from '../contracts/webhook.ts';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import type { WebhookQuery } from '../client/pages.ts';
import {
  apiCommand,
  callAndPrint,
  connect,
  given,
  listAll,
  print,
  readValue,
  type ApiOptions,
} from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { countFields, waitingText, fields, percent } from './text-output.ts';
import { rangeOption, type RangeOption } from './range-option.ts';
import { printable } from './printable.ts';
import { table } from './table.ts';
import { addMatchCommand } from './match-command.ts';
import { addImportWebhooksCommand } from './import-webhooks-command.ts';
import { addPauseCommands } from './pause-commands.ts';
import { addPutWebhookCommand } from './put-webhook-command.ts';
import { addUpdateWebhookCommand } from './update-webhook-command.ts';
import { addNewWebhookOptions, ownSecret, toNewWebhook, type NewWebhookOptions } from './webhook-options.ts';
import { webhookTable, webhookText } from './webhook-text.ts';

type TestType = Parameters<FltrWebhooks['testWebhook']>[0]['event'];
type RotateOptions = { overlapSeconds: string; endOverlap?: true; secret?: string };
type ListOptions = { externalId?: string; metadata?: string };

export function addWebhookCommands(program: Command): void {
  const webhooks = program.command('webhooks').description('create, list, change and test webhooks');
  apiCommand(webhooks, 'list', 'list the webhooks of the account')
    .option('--external-id <id>', 'only the one with this external id')
    .option('--metadata <name=value>', 'only those with this metadata; without =value, with any value')
    .action(
      callAndPrint(
        (client, options: ListOptions) =>
          listAll((page) => client.listWebhooks({ ...page, ...toWebhookQuery(options) })),
        webhookTable,
      ),
    );
  apiCommand(webhooks, 'show <id>', 'show a webhook, with its use of the hourly cap').action(
    callAndPrint((client, id: string) => client.getWebhook(id), webhookText),
  );
  const create = apiCommand(webhooks, 'create', 'create a webhook and print its secret');
  addNewWebhookOptions(create)
    .option('--external-id <id>', 'your own id of it')
    .action(
      callAndPrint(
        async (client, options: NewWebhookOptions & { externalId?: string }) =>
          client.createWebhook({
            ...(await toNewWebhook(options)),
            ...given({ external_id: options.externalId }),
          }),
        webhookText,
      ),
    );
  addPutWebhookCommand(webhooks);
  addImportWebhooksCommand(webhooks);
  addUpdateWebhookCommand(webhooks);
  apiCommand(webhooks, 'delete <id>', 'delete a webhook and cancel its waiting deliveries')
    .option('--yes', 'confirm; nothing is deleted without it')
    .action(async (id: string, options: ApiOptions & { yes?: boolean }) => {
      if (!options.yes)
        throw wrongUse(`Nothing was deleted. Add --yes to delete ${id} and cancel its waiting deliveries.`);
      const { client } = await connect(options);
      await client.deleteWebhook(id);
      print(options, { deleted: id }, () => `Deleted ${id}.`);
    });
  addPauseCommands(webhooks);
  addSecretCommands(webhooks);
  addMatchCommand(webhooks);
  apiCommand(
    webhooks,
    'stats <id>',
    'statistics of the last 24 hours, or of a range: counts, failure rate, response times',
  )
    .addOption(rangeOption())
    .action(
      callAndPrint(
        (client, id: string, { range }: RangeOption) =>
          range === undefined ? client.getWebhookStats(id) : client.getWebhookStats(id, { range }),
        statsText,
      ),
    );
  apiCommand(
    webhooks,
    'test <id> <type>',
    'send a test event with the example of a type; exit code 1 unless it is delivered',
  ).action(
    callAndPrint(
      (client, id: string, event: TestType) => client.testWebhook({ webhook_id: id, event }),
      ({ attempt }) => attemptText(attempt),
      ({ attempt }) => attempt.outcome !== 'delivered',
    ),
  );
}

/** @example toWebhookQuery({ metadata: 'plan=pro' }) // { metadata_key: 'plan', metadata_value: 'pro' } */
function toWebhookQuery({ externalId, metadata }: ListOptions): WebhookQuery {
  const at = metadata?.indexOf('=') ?? -1;
  return given({
    external_id: externalId,
    metadata_key: at === -1 ? metadata : metadata?.slice(0, at),
    metadata_value: at === -1 ? undefined : metadata?.slice(at + 1),
  });
}

function addSecretCommands(webhooks: Command): void {
  apiCommand(webhooks, 'secret <id>', 'print the signing secret; this is audited').action(
    callAndPrint(
      (client, id: string) => client.getWebhookSecret(id),
      ({ secret, previous_secret: previous, previous_secret_until: until }) =>
        previous === null ? secret : `${secret}\n${previous} (until ${until})`,
    ),
  );
  apiCommand(webhooks, 'public-key <id>', 'print the public key that verifies v1a signatures').action(
    callAndPrint(
      (client, id: string) => client.getWebhookPublicKey(id),
      ({ public_key: key, previous_public_key: previous, previous_public_key_until: until }) =>
        previous === null ? key : `${key}\n${previous} (until ${until})`,
    ),
  );
  apiCommand(webhooks, 'rotate <id>', 'create a new secret for a webhook and print it')
    .option('--overlap-seconds <seconds>', 'how long the previous secret stays valid, 0 to 604800', '86400')
    .option('--end-overlap', 'end the overlap of an earlier rotation first')
    .option('--secret <secret>', `${ownSecret} (default: a new one)`)
    .action(
      callAndPrint(
        async (client, id: string, options: RotateOptions) =>
          client.rotateWebhookSecret(id, {
            overlap_seconds: Number(options.overlapSeconds),
            end_overlap: options.endOverlap === true,
            ...(options.secret === undefined ? {} : { secret: await readValue(options.secret) }),
          }),
        ({ secret }) => secret,
      ),
    );
  apiCommand(webhooks, 'finish-rotation <id>', 'end the overlap; the previous secret becomes invalid').action(
    callAndPrint((client, id: string) => client.finishSecretRotation(id), webhookText),
  );
}

function statsText(stats: WebhookStats | WebhookRangeStats): string {
  const { p50, p95, p99 } = stats.response_ms;
  const summary = fields({
    since: stats.since,
    ...countFields(stats),
    'failure rate': percent(stats.failure_rate),
    waiting: waitingText(stats.waiting),
    'response ms': `p50 ${p50 ?? '-'}, p95 ${p95 ?? '-'}, p99 ${p99 ?? '-'}`,
  });
  const parts =
    'hourly' in stats
      ? stats.hourly.map(({ hour, ...counts }) => ({ hour, ...counts }))
      : stats.buckets.map(({ at, ...counts }) => ({ from: at, ...counts }));
  const withAttempts = parts.filter(({ attempts }) => attempts > 0);
  if (withAttempts.length === 0) return summary;
  const rows = withAttempts.map((stats) => ({
    ...('hour' in stats ? { hour: stats.hour } : { from: stats.from }),
    ...countFields(stats),
    'p95 ms': stats.response_ms.p95 ?? '-',
  }));
  return `${summary}\n\n${table(rows)}`;
}

export function attemptText(attempt: Attempt): string {
  const { number, outcome, status_code, duration_ms, error, started_at } = attempt;
  const response = status_code === null ? '' : ` ${status_code}`;
  const reason = error ? printable(` ${error.code}: ${error.message}`) : '';
  return `${started_at}  attempt ${number}  ${outcome}${response} in ${duration_ms} ms${reason}`;
}
