import type { Webhook } from '../contracts/webhook.ts';
import { policyFields } from './policy-text.ts';
import { table } from './table.ts';
import { fields, percent } from './text-output.ts';

/** The same states as in the dashboard. */
function stateOf({ active, auto_disabled, warning, health }: Webhook): string {
  if (auto_disabled) return 'disabled';
  if (!active) return 'paused';
  return warning && health.state === 'healthy' ? 'failing' : health.state;
}

export function webhookTable(webhooks: readonly Webhook[]): string {
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

export function webhookText(webhook: Webhook & { secret?: string }): string {
  const { hourly_cap: cap, auto_disabled: disabled } = webhook;
  return fields({
    id: webhook.webhook_id,
    state: stateOf(webhook),
    url: webhook.url,
    events: webhook.events.join(', '),
    description: webhook.description ?? undefined,
    'external id': webhook.external_id ?? undefined,
    metadata: entriesText(webhook.metadata),
    format: webhook.format,
    ...policyFields(webhook),
    disabled: disabled ? `${disabled.at}: ${disabledText(disabled)}` : undefined,
    'hourly cap': cap ? `${cap.used} of ${cap.limit} used` : undefined,
    deferred: cap?.next_at ? `${cap.next_at} to ${cap.deferred_until ?? '?'}` : undefined,
    'secret due': webhook.secret_due ? 'older than 90 days, rotate it' : undefined,
    'previous secret until': webhook.previous_secret_until ?? undefined,
    created: webhook.created_at,
    secret: webhook.secret,
  });
}

function disabledText({ reason, failure_rate, ended }: NonNullable<Webhook['auto_disabled']>): string {
  if (reason === 'gone') return 'its receiver responded 410 Gone';
  if (reason === 'down') return 'it was down for 24 hours';
  return `${percent(failure_rate)} of ${ended} failed`;
}

function entriesText(entries: Readonly<Record<string, string>>): string | undefined {
  const parts = Object.entries(entries).map(([name, value]) => `${name}=${value}`);
  return parts.length === 0 ? undefined : parts.join(', ');
}
