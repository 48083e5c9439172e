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
import { apiCommand, callFor, connect, print, type ApiOptions } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { fields, percent, waitingText } from './text-output.ts';
import { printable } from './printable.ts';
import { table } from './table.ts';

type Create = z.input<typeof createWebhookSchema>;
type Update = z.input<typeof updateWebhookSchema>;
type Options = ApiOptions & { url?: string; events?: string; description?: string; format?: string };

/** `webhooks`: each call of the API that is about them. */
export function addWebhookCommands(program: Command): void {
  const webhooks = program.command('webhooks').description('where events are sent to');
  apiCommand(webhooks, 'list')
    .description('all webhooks of the account')
    .action(async (options: ApiOptions) => {
      const { client } = await connect(options);
      const all: Webhook[] = [];
      for await (const webhook of everyItem((page) => client.listWebhooks({ limit: 100, ...page })))
        all.push(webhook);
      print(options, all, webhookTable);
    });
  callFor(
    apiCommand(webhooks, 'show <id>').description('one webhook, with its use of the hourly cap'),
    (client, id) => client.getWebhook(id),
    (webhook) => webhookText(webhook),
  );
  apiCommand(webhooks, 'create')
    .description('create a webhook, and print its secret, once')
    .requiredOption('--url <url>', 'the receiver, which events are sent to')
    .requiredOption('--events <list>', 'separated by commas: types, document.*, dataset.*, or *')
    .option('--description <text>')
    .option('--format <format>', 'fltr or slack', 'fltr')
    .option('--inactive', 'what it would get is held until it is activated')
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
    .description('change a webhook')
    .option('--url <url>', 'send to another URL')
    .option('--events <list>', 'separated by commas')
    .option('--description <text>', 'an empty one removes it')
    .option('--format <format>', 'fltr or slack')
    .option('--active', 'send again, what is held first')
    .option('--discard-held', 'with --active: what is held is never sent')
    .option('--inactive', 'hold what it would get')
    .action(
      async (
        id: string,
        options: Options & { active?: boolean; inactive?: boolean; discardHeld?: boolean },
      ) => {
        if (options.active && options.inactive) throw wrongUse('--active and --inactive: give one of them.');
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
    .description('delete a webhook; what waits for it is canceled')
    .option('--yes', 'without this, nothing is deleted')
    .action(async (id: string, options: ApiOptions & { yes?: boolean }) => {
      if (!options.yes)
        throw wrongUse(`Nothing was deleted: add --yes to delete ${id} and cancel what waits for it.`);
      const { client } = await connect(options);
      await client.deleteWebhook(id);
      print(options, { deleted: id }, () => `${id} is deleted.`);
    });
  apiCommand(webhooks, 'secret <id>')
    .description('print the secret that signs; this is audited')
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
    .description('give a webhook a new secret, and print it')
    .option('--overlap-seconds <seconds>', 'how long the old one signs too, 0 to 604800', '86400')
    .option('--end-overlap', 'also while the overlap of an earlier rotation runs, which ends')
    .action(async (id: string, options: ApiOptions & { overlapSeconds: string; endOverlap?: true }) => {
      const { client } = await connect(options);
      const rotated = await client.rotateWebhookSecret(id, {
        overlap_seconds: Number(options.overlapSeconds),
        end_overlap: options.endOverlap === true,
      });
      print(options, rotated, ({ secret }) => secret);
    });
  callFor(
    apiCommand(webhooks, 'finish-rotation <id>').description('end the overlap: the old secret signs no more'),
    (client, id) => client.finishSecretRotation(id),
    (webhook) => webhookText(webhook),
  );
  callFor(
    apiCommand(webhooks, 'stats <id>').description('the last 24 hours: counts, failure rate, response times'),
    (client, id) => client.getWebhookStats(id),
    statsText,
  );
  apiCommand(webhooks, 'test <id> <type>')
    .description("make one signed attempt with a type's example; exit code 1 where it is not delivered")
    .action(async (id: string, type: string, options: ApiOptions) => {
      const { client } = await connect(options);
      const test = { webhook_id: id, event: type } as Parameters<typeof client.testWebhook>[0];
      const result = await client.testWebhook(test);
      print(options, result, ({ attempt }) => attemptText(attempt));
      if (result.attempt.outcome !== 'delivered') process.exitCode = 1;
    });
}

const list = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** In the dashboard's words. */
function stateOf({ active, auto_disabled, warning }: Webhook): string {
  if (auto_disabled) return 'disabled automatically';
  if (!active) return 'paused';
  return warning ? 'active, failing' : 'active';
}

function webhookTable(webhooks: readonly Webhook[]): string {
  if (webhooks.length === 0)
    return 'There are none. `fltr-webhooks webhooks create --url <url> --events "*"` makes one.';
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
    'secret due': webhook.secret_due ? 'older than 90 days: rotate it' : undefined,
    'old secret until': webhook.previous_secret_until ?? undefined,
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

/** An attempt in one line: how it ended, with which answer, in which time. */
export function attemptText({
  number,
  outcome,
  status_code,
  duration_ms,
  error,
  started_at,
}: Attempt): string {
  const answer = status_code === null ? '' : ` ${status_code}`;
  const why = error ? printable(` ${error.code}: ${error.message}`) : '';
  return `${started_at}  attempt ${number}  ${outcome}${answer} in ${duration_ms} ms${why}`;
}
