import type { Stats } from '../contracts/stats.ts';
import type { Webhook, WebhookWaiting } from '../contracts/webhook.ts';
import { formatCount } from './format.ts';

type Hour = Pick<Stats['data'][number]['hourly'][number], 'attempts' | 'failed_attempts'>;

/** The number of recent attempts that decide whether a webhook is failing. */
const minAttempts = 5;

/** At least half of the recent attempts failed. Counts back hour by hour until there are `minAttempts`. */
export function isFailing(hourly: readonly Hour[]): boolean {
  let [attempts, failed] = [0, 0];
  for (const hour of hourly.toReversed()) {
    attempts += hour.attempts;
    failed += hour.failed_attempts;
    if (attempts >= minAttempts) break;
  }
  return attempts > 0 && failed * 2 >= attempts;
}

/** `health`: where it is known. */
export type WebhookWithState = Pick<Webhook, 'active' | 'auto_disabled' | 'warning'> &
  Partial<Pick<Webhook, 'health'>>;

export function webhookStateOf(
  { active, auto_disabled: disabled, warning, health }: WebhookWithState,
  hourly: readonly Hour[] = [],
): 'disabled automatically' | 'paused' | 'active, down' | 'active, failing' | 'active' {
  if (disabled) return 'disabled automatically';
  if (!active) return 'paused';
  if (health?.state === 'down') return 'active, down';
  return warning || health?.state === 'failing' || isFailing(hourly) ? 'active, failing' : 'active';
}

/** The share of attempts that failed; null without attempts. */
export const failedShare = ({ attempts, failed_attempts: failed }: Hour): number | null =>
  attempts === 0 ? null : failed / attempts;

/** At least half failed. */
export const isMostlyFailing = (share: number | null): boolean => share !== null && share >= 0.5;

/** The API stops counting here. */
const maxCount = 1000;

/** The number of waiting deliveries per status, without zeros. */
export function waitingCounts(waiting: WebhookWaiting): { status: keyof WebhookWaiting; text: string }[] {
  return (['retrying', 'pending', 'held'] as const)
    .filter((status) => waiting[status] > 0)
    .map((status) => {
      const count = waiting[status];
      return { status, text: `${formatCount(count)}${count >= maxCount ? ' or more' : ''} ${status}` };
    });
}
