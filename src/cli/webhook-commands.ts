import type { Command } from 'commander';
import type { z } from 'zod';
import type { Attempt } from '../contracts/attempt-schema.ts';
import type {
  createWebhookSchema,
  updateWebhookSchema,
  Webhook,
  WebhookStats,
} from '../contracts/webhook.ts';
import { webhookFormats } from '../contracts/webhook-format.ts';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { apiCommand, callAndPrint, connect, given, listAll, print, type ApiOptions } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { countFields, countsText, fields, listOf, percent } from './text-output.ts';
import { printable } from './printable.ts';
import { table } from './table.ts';

type Create = z.input<typeof createWebhookSchema>;
type Update = z.input<typeof updateWebhookSchema>;
type TestType = Parameters<FltrWebhooks['testWebhook']>[0]['event'];
type UpdateOptions = ApiOptions & {
  url?: string;
  events?: string;
  description?: string;
  format?: Update['format'];
  active?: true;
  inactive?: true;
  discardHeld?: true;
};
type CreateOptions = UpdateOptions & { url: string; events: string };

export function addWebhookCommands(program: Command): void {
  const webhooks = program.command('webhooks').description('create, list, change and test webhooks');
  apiCommand(webhooks, 'list', 'list the webhooks of the account').action(
    callAndPrint((client) => listAll((page) => client.listWebhooks(page)), webhookTable),
  );
  apiCommand(webhooks, 'show <id>', 'show a webhook, with its use of the hourly cap').action(
    callAndPrint((client, id: string) => client.getWebhook(id), webhookText),
  );
  apiCommand(webhooks, 'create', 'create a webhook and print its secret')
    .requiredOption('--url <url>', 'URL of the receiver')
    .requiredOption('--events <list>', 'comma-separated event types, document.*, dataset.* or *')
    .option('--description <text>')
    .option('--format <format>', webhookFormats.join(', '), 'fltr')
    .option('--inactive', 'hold its deliveries until it is activated')
    .action(
      callAndPrint(
        (client, { url, events, inactive, format, description }: CreateOptions) =>
          client.createWebhook({
            url,
            events: filtersOf(events),
            active: inactive !== true,
            format,
            ...given({ description }),
          }),
        webhookText,
      ),
    );
  apiCommand(webhooks, 'update <id>', 'update a webhook')
    .option('--url <url>', 'new URL')
    .option('--events <list>', 'comma-separated event types')
    .option('--description <text>', 'new description; an empty one removes it')
    .option('--format <format>', webhookFormats.join(', '))
    .option('--active', 'activate it; held deliveries are sent first')
    .option('--discard-held', 'with --active: cancel held deliveries')
    .option('--inactive', 'pause it; its deliveries are held')
    .action(async (id: string, options: UpdateOptions) => {
      const { url, events, description, format, active, inactive, discardHeld } = options;
      if (active && inactive) throw wrongUse('--active and --inactive exclude each other.');
      const { client } = await connect(options);
      const change = given({
        url,
        events: events === undefined ? undefined : filtersOf(events),
        description: description === '' ? null : description,
        format,
        active: inactive ? false : active,
        held: discardHeld && ('discard' as const),
      });
      print(options, await client.updateWebhook(id, change), webhookText);
    });
  apiCommand(webhooks, 'delete <id>', 'delete a webhook and cancel its waiting deliveries')
    .option('--yes', 'confirm; nothing is deleted without it')
    .action(async (id: string, options: ApiOptions & { yes?: boolean }) => {
      if (!options.yes)
        throw wrongUse(`Nothing was deleted. Add --yes to delete ${id} and cancel its waiting deliveries.`);
      const { client } = await connect(options);
      await client.deleteWebhook(id);
      print(options, { deleted: id }, () => `Deleted ${id}.`);
    });
  addSecretCommands(webhooks);
  apiCommand(
    webhooks,
    'stats <id>',
    'statistics of the last 24 hours: counts, failure rate, response times',
  ).action(callAndPrint((client, id: string) => client.getWebhookStats(id), statsText));
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

function addSecretCommands(webhooks: Command): void {
  apiCommand(webhooks, 'secret <id>', 'print the signing secret; this is audited').action(
    callAndPrint(
      (client, id: string) => client.getWebhookSecret(id),
      ({ secret, previous_secret: previous, previous_secret_until: until }) =>
        previous === null ? secret : `${secret}\n${previous} (until ${until})`,
    ),
  );
  apiCommand(webhooks, 'rotate <id>', 'create a new secret for a webhook and print it')
    .option('--overlap-seconds <seconds>', 'how long the previous secret stays valid, 0 to 604800', '86400')
    .option('--end-overlap', 'end the overlap of an earlier rotation first')
    .action(
      callAndPrint(
        (client, id: string, options: { overlapSeconds: string; endOverlap?: true }) =>
          client.rotateWebhookSecret(id, {
            overlap_seconds: Number(options.overlapSeconds),
            end_overlap: options.endOverlap === true,
          }),
        ({ secret }) => secret,
      ),
    );
  apiCommand(webhooks, 'finish-rotation <id>', 'end the overlap; the previous secret becomes invalid').action(
    callAndPrint((client, id: string) => client.finishSecretRotation(id), webhookText),
  );
}

const filtersOf = (text: string): Create['events'] => listOf(text).filter((part) => part !== '');

/** The same states as in the dashboard. */
function stateOf({ active, auto_disabled, warning }: Webhook): string {
  if (auto_disabled) return 'disabled automatically';
  if (!active) return 'paused';
  return warning ? 'active, failing' : 'active';
}

function webhookTable(webhooks: readonly Webhook[]): string {
  if (webhooks.length === 0)
    return 'No webhooks. Create one with `fltr-webhooks webhooks create --url <url> --events "*"`.';
  return table(
    webhooks.map((webhook) => ({
      id: webhook.webhook_id,
      state: stateOf(webhook),
      events: webhook.events.join(','),
      url: webhook.url,
      created: webhook.created_at,
    })),
  );
}

function webhookText(webhook: Webhook & { secret?: string }): string {
  const { hourly_cap: cap, auto_disabled: disabled } = webhook;
  return fields({
    id: webhook.webhook_id,
    state: stateOf(webhook),
    url: webhook.url,
    events: webhook.events.join(', '),
    description: webhook.description ?? undefined,
    format: webhook.format,
    disabled: disabled
      ? `${disabled.at}: ${percent(disabled.failure_rate)} of ${disabled.ended} failed`
      : undefined,
    'hourly cap': cap ? `${cap.used} of ${cap.limit} used` : undefined,
    deferred: cap?.next_at ? `${cap.next_at} to ${cap.deferred_until ?? '?'}` : undefined,
    'secret due': webhook.secret_due ? 'older than 90 days, rotate it' : undefined,
    'previous secret until': webhook.previous_secret_until ?? undefined,
    created: webhook.created_at,
    secret: webhook.secret,
  });
}

function statsText(stats: WebhookStats): string {
  const { p50, p95, p99 } = stats.response_ms;
  const summary = fields({
    since: stats.since,
    ...countFields(stats),
    'failure rate': percent(stats.failure_rate),
    waiting: countsText(stats.waiting),
    'response ms': `p50 ${p50 ?? '-'}, p95 ${p95 ?? '-'}, p99 ${p99 ?? '-'}`,
  });
  const hours = stats.hourly.filter(({ attempts }) => attempts > 0);
  if (hours.length === 0) return summary;
  const rows = hours.map((stats) => ({
    hour: stats.hour,
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
