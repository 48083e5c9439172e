import type { Command } from 'commander';
import type { z } from 'zod';
import type { updateWebhookSchema } from '../contracts/webhook.ts';
import { webhookFormats } from '../contracts/webhook-format.ts';
import { apiCommand, connect, given, print, type ApiOptions } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { addPolicyOptions, policyOf, retryOf, type PolicyOptions } from './policy-options.ts';
import { collectEntry, filtersOf } from './webhook-options.ts';
import { webhookText } from './webhook-text.ts';

type Update = z.input<typeof updateWebhookSchema>;
type UpdateOptions = ApiOptions &
  PolicyOptions & {
    externalId?: string;
    metadata?: Record<string, string>;
    url?: string;
    events?: string;
    description?: string;
    format?: Update['format'];
    active?: true;
    inactive?: true;
    discardHeld?: true;
    applyTo?: 'waiting';
  };

/** `webhooks update`: changes the fields that the options name. */
export function addUpdateWebhookCommand(webhooks: Command): void {
  const update = apiCommand(webhooks, 'update <id>', 'update a webhook')
    .option('--url <url>', 'new URL')
    .option('--events <list>', 'comma-separated event types')
    .option('--description <text>', 'new description; an empty one removes it')
    .option('--format <format>', webhookFormats.join(', '))
    .option('--external-id <id>', 'new external id; an empty one removes it')
    .option(
      '--metadata <name=value>',
      'replaces all metadata; repeat it for more; an empty one removes all',
      collectEntry,
    )
    .option('--active', 'activate it; held deliveries are sent first')
    .option('--discard-held', 'with --active: cancel held deliveries')
    .option('--inactive', 'deactivate it; its deliveries are held');
  addPolicyOptions(update, 'change').action(async (id: string, options: UpdateOptions) => {
    const { url, events, description, format, active, inactive, discardHeld, externalId } = options;
    if (active && inactive) throw wrongUse('--active and --inactive exclude each other.');
    const policy = await policyOf(options);
    const named = retryOf(options);
    const { client } = await connect(options);
    const change = given({
      url,
      events: events === undefined ? undefined : filtersOf(events),
      description: description === '' ? null : description,
      format,
      external_id: externalId === '' ? null : externalId,
      metadata: options.metadata,
      active: inactive ? false : active,
      held: discardHeld && ('discard' as const),
      // The API replaces all of it, the options change a part.
      retry: named && retryOf(options, (await client.getWebhook(id)).retry),
      apply_to: options.applyTo,
      ...policy,
    });
    print(options, await client.updateWebhook(id, change), webhookText);
  });
}
