import type { Command } from 'commander';
import { apiCommand, callAndPrint, given } from './api-command.ts';
import { webhookText } from './webhook-text.ts';

type PauseOptions = { until?: string; reason?: string };

/** `webhooks pause` and `webhooks resume`. */
export function addPauseCommands(webhooks: Command): void {
  apiCommand(webhooks, 'pause <id>', 'pause a webhook; its deliveries are held')
    .option('--until <time>', 'when it is activated again, RFC 3339 (default: when it is resumed)')
    .option('--reason <text>', 'shown with the webhook')
    .action(
      callAndPrint(
        (client, id: string, { until, reason }: PauseOptions) =>
          client.pauseWebhook(id, given({ until, reason })),
        webhookText,
      ),
    );
  apiCommand(webhooks, 'resume <id>', 'activate a webhook; held deliveries are sent first')
    .option('--per-second <attempts>', 'at most so many attempts a second, until nothing waits', Number)
    .action(
      callAndPrint(
        (client, id: string, { perSecond }: { perSecond?: number }) =>
          client.resumeWebhook(id, given({ per_second: perSecond })),
        webhookText,
      ),
    );
}
