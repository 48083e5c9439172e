import type { Command } from 'commander';
import { apiCommand, callAndPrint } from './api-command.ts';
import { addNewWebhookOptions, toNewWebhook, type NewWebhookOptions } from './webhook-options.ts';
import { webhookText } from './webhook-text.ts';

/** `webhooks put`: repeated, it changes nothing. */
export function addPutWebhookCommand(webhooks: Command): void {
  const put = apiCommand(
    webhooks,
    'put <external-id>',
    'create the webhook with this external id and print its secret, or replace it',
  );
  addNewWebhookOptions(put).action(
    callAndPrint(
      async (client, externalId: string, options: NewWebhookOptions) =>
        client.putWebhook(externalId, await toNewWebhook(options)),
      webhookText,
    ),
  );
}
