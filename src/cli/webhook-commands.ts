import type { Command } from 'commander';
import type { z } from 'zod';
import type { Attempt } from '../contracts/attempt.ts';
import type {
  createWebhookSchema,
  updateWebhookSchema,
  Webhook,
  WebhookStats,
} from '../contracts/webhook.ts';
import { everyItem } from '../client/fltr-webhooks.ts';
import { apiCommand, callAndPrint, connect, print, type ApiOptions } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { fields, percent, waitingText } from './text-output.ts';
import { printable } from './printable.ts';
import { table } from './table.ts';

type Create = z.input<typeof createWebhookSchema>;
type Update = z.input<typeof updateWebhookSchema>;
type Options = ApiOptions & { url?: string; events?: string; description?: string; format?: string };

export function addWebhookCommands(program: Command): void {
  const webhooks = program.command('webhooks').description('create, list, change and test webhooks');
  apiCommand(webhooks, 'list')
    .description('list the webhooks of the account')
    .action(async (options: ApiOptions) => {
      const { client } = await connect(options);
      const all: Webhook[] = [];
      for await (const webhook of everyItem((page) => client.listWebhooks({ limit: 100, ...page })))
        all.push(webhook);
      print(options, all, webhookTable);
    });
  callAndPrint(
    apiCommand(webhooks, 'show <id>').description('show a webhook, with its use of the hourly cap'),
    (client, id) => client.getWebhook(id),
    (webhook) => webhookText(webhook),
  );
  apiCommand(webhooks, 'create')
    .description('create a webhook and print its secret')
    .requiredOption('--url <url>', 'URL of the receiver')
    .requiredOption('--events <list>', 'comma-separated event types, document.*, dataset.* or *')
    .option('--description <text>')
    .option('--format <format>', 'fltr or slack', 'fltr')
    .option('--inactive', 'hold its deliveries until it is activated')
    .action(async (options: Options & { url: string; inactive?: boolean }) => {
      const { client } = await connect(options);
      const created = await client.createWebhook({
        url: options.url,
        events: list(options.events) as Create['events'],
        active: options.inactive !== true,
        format: options.format as Create['format'],
        ...(options.description === undefined ? {} : { description: options.description }),
      });
      print(options, created, (webhook) => webhookText(webhook, webhook.secret));
    });
  apiCommand(webhooks, 'update <id>')
    .description('update a webhook')
    .option('--url <url>', 'new URL')
    .option('--events <list>', 'comma-separated event types')
    .option('--description <text>', 'new description; an empty one removes it')
    .option('--format <format>', 'fltr or slack')
    .option('--active', 'activate it; held deliveries are sent first')
    .option('--discard-held', 'with --active: cancel held deliveries')
    .option('--inactive', 'pause it; its deliveries are held')
    .action(
      async (
        id: string,
        options: Options & { active?: boolean; inactive?: boolean; discardHeld?: boolean },
      ) => {
        if (options.active && options.inactive) throw wrongUse('--active and --inactive exclude each other.');
        const change: Update = {
          ...(options.url === undefined ? {} : { url: options.url }),
          ...(options.events === undefined
            ? {}
            : { events: list(options.events) as NonNullable<Update['events']> }),
          ...(options.description === undefined ? {} : { description: options.description || null }),
          ...(options.format === undefined
            ? {}
            : { format: options.format as NonNullable<Update['format']> }),
          ...(options.active ? { active: true } : options.inactive ? { active: false } : {}),
          ...(options.discardHeld ? { held: 'discard' } : {}),
        };
        const { client } = await connect(options);
        print(options, await client.updateWebhook(id, change), (webhook) => webhookText(webhook));
      },
    );
  apiCommand(webhooks, 'delete <id>')
    .description('delete a webhook and cancel its waiting deliveries')
    .option('--yes', 'confirm; nothing is deleted without it')
    .action(async (id: string, options: ApiOptions & { yes?: boolean }) => {
      if (!options.yes)
        throw wrongUse(`Nothing was deleted. Add --yes to delete ${id} and cancel its waiting deliveries.`);
      const { client } = await connect(options);
      await client.deleteWebhook(id);
      print(options, { deleted: id }, () => `Deleted ${id}.`);
    });
  addSecretCommands(webhooks);
  callAndPrint(
    apiCommand(webhooks, 'stats <id>').description(
      'statistics of the last 24 hours: counts, failure rate, response times',
    ),
    (client, id) => client.getWebhookStats(id),
    statsText,
  );
  apiCommand(webhooks, 'test <id> <type>')
    .description('send a test event with the example of a type; exit code 1 unless it is delivered')
    .action(async (id: string, type: string, options: ApiOptions) => {
      const { client } = await connect(options);
      const test = { webhook_id: id, event: type } as Parameters<typeof client.testWebhook>[0];
      const result = await client.testWebhook(test);
      print(options, result, ({ attempt }) => attemptText(attempt));
      if (result.attempt.outcome !== 'delivered') process.exitCode = 1;
    });
}

function addSecretCommands(webhooks: Command): void {
  apiCommand(webhooks, 'secret <id>')
    .description('print the signing secret; this is audited')
    .action(async (id: string, options: ApiOptions) => {
      const { client } = await connect(options);
      print(
        options,
        await client.getWebhookSecret(id),
        ({ secret, previous_secret, previous_secret_until }) =>
          previous_secret === null
            ? secret
            : `${secret}\n${previous_secret} (until ${previous_secret_until})`,
      );
    });
  apiCommand(webhooks, 'rotate <id>')
    .description('create a new secret for a webhook and print it')
    .option('--overlap-seconds <seconds>', 'how long the previous secret stays valid, 0 to 604800', '86400')
    .option('--end-overlap', 'end the overlap of an earlier rotation first')
    .action(async (id: string, options: ApiOptions & { overlapSeconds: string; endOverlap?: true }) => {
      const { client } = await connect(options);
      const rotated = await client.rotateWebhookSecret(id, {
        overlap_seconds: Number(options.overlapSeconds),
        end_overlap: options.endOverlap === true,
      });
      print(options, rotated, ({ secret }) => secret);
    });
  callAndPrint(
    apiCommand(webhooks, 'finish-rotation <id>').description(
      'end the overlap; the previous secret becomes invalid',
    ),
    (client, id) => client.finishSecretRotation(id),
    (webhook) => webhookText(webhook),
  );
}

const list = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

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

function webhookText(webhook: Webhook, secret?: string): string {
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
    secret,
  });
}

function statsText(stats: WebhookStats): string {
  const { p50, p95, p99 } = stats.response_ms;
  const summary = fields({
    since: stats.since,
    attempts: stats.attempts,
    'failed attempts': stats.failed_attempts,
    delivered: stats.delivered,
    failed: stats.failed,
    'failure rate': percent(stats.failure_rate),
    waiting: waitingText(stats.waiting),
    'response ms': `p50 ${p50 ?? '-'}, p95 ${p95 ?? '-'}, p99 ${p99 ?? '-'}`,
  });
  const hours = stats.hourly.filter(({ attempts }) => attempts > 0);
  if (hours.length === 0) return summary;
  const rows = hours.map(({ hour, attempts, failed_attempts, delivered, failed, response_ms }) => ({
    hour,
    attempts: String(attempts),
    'failed attempts': String(failed_attempts),
    delivered: String(delivered),
    failed: String(failed),
    'p95 ms': String(response_ms.p95 ?? '-'),
  }));
  return `${summary}\n\n${table(rows)}`;
}

export function attemptText({
  number,
  outcome,
  status_code,
  duration_ms,
  error,
  started_at,
}: Attempt): string {
  const response = status_code === null ? '' : ` ${status_code}`;
  const reason = error ? printable(` ${error.code}: ${error.message}`) : '';
  return `${started_at}  attempt ${number}  ${outcome}${response} in ${duration_ms} ms${reason}`;
}
