import type { Command } from 'commander';
import type { z } from 'zod';
import type { putWebhookSchema } from '../contracts/webhook.ts';
import { webhookFormats } from '../contracts/webhook-format.ts';
import { given, readValue } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { addPolicyOptions, newPolicyOf, type PolicyOptions } from './policy-options.ts';
import { listOf } from './text-output.ts';

type NewWebhook = z.input<typeof putWebhookSchema>;
export type NewWebhookOptions = PolicyOptions & {
  url: string;
  events: string;
  description?: string;
  format?: NewWebhook['format'];
  inactive?: true;
  metadata?: Record<string, string>;
  secret?: string;
};

/** The options of a command that creates a webhook. */
export function addNewWebhookOptions(command: Command): Command {
  command
    .requiredOption('--url <url>', 'URL of the receiver, or mailto: and e-mail addresses')
    .requiredOption('--events <list>', 'comma-separated event types, document.*, dataset.* or *')
    .option('--description <text>')
    .option('--format <format>', `${webhookFormats.join(', ')} (default: email for mailto:, else fltr)`)
    .option('--metadata <name=value>', 'text for your own use; repeat it for more', collectEntry)
    .option('--secret <secret>', `${ownSecret} (default: a new one)`)
    .option('--inactive', 'hold its deliveries until it is activated');
  return addPolicyOptions(command, 'new');
}

export const ownSecret = 'a secret of your own, whsec_…; @file reads a file, @- standard input';

/** @throws Error where an option has no such value, or a file cannot be read */
export async function toNewWebhook(options: NewWebhookOptions): Promise<NewWebhook> {
  const { url, events, inactive, format, description, metadata, secret } = options;
  return {
    url,
    events: filtersOf(events),
    active: inactive !== true,
    ...given({
      format,
      description,
      metadata,
      secret: secret === undefined ? undefined : await readValue(secret),
    }),
    ...(await newPolicyOf(options)),
  };
}

export const filtersOf = (text: string): NewWebhook['events'] => listOf(text).filter((part) => part !== '');

/** An empty text means no entry at all. @throws Error */
export function collectEntry(text: string, collected: Record<string, string> = {}): Record<string, string> {
  if (text === '') return collected;
  const at = text.indexOf('=');
  if (at < 1) throw wrongUse(`--metadata must be name=value, such as plan=enterprise, not ${text}.`);
  return { ...collected, [text.slice(0, at)]: text.slice(at + 1) };
}
