import type { Stats } from '../contracts/stats.ts';
import type { Webhook, WebhookWaiting } from '../contracts/webhook.ts';
import { formatCount } from './format.ts';

type Hour = Pick<Stats['data'][number]['hourly'][number], 'attempts' | 'failed_attempts'>;

/** So many of the latest attempts say how a webhook is doing, where there are as many. */
const enough = 5;

/** At least half of its latest attempts failed: those of the last hours that have enough together. */
export function isFailing(hourly: readonly Hour[]): boolean {
  let [attempts, failed] = [0, 0];
  for (const hour of hourly.toReversed()) {
    attempts += hour.attempts;
    failed += hour.failed_attempts;
    if (attempts >= enough) break;
  }
  return attempts > 0 && failed * 2 >= attempts;
}

/** The state that a webhook's badge names. */
export function standingOf(
  { active, auto_disabled: disabled, warning }: Pick<Webhook, 'active' | 'auto_disabled' | 'warning'>,
  hourly: readonly Hour[] = [],
): 'disabled automatically' | 'paused' | 'active, failing' | 'active' {
  if (disabled) return 'disabled automatically';
  if (!active) return 'paused';
  return warning || isFailing(hourly) ? 'active, failing' : 'active';
}

/** The share of attempts that failed; null without attempts. */
export const failedShare = ({ attempts, failed_attempts: failed }: Hour): number | null =>
  attempts === 0 ? null : failed / attempts;

/** The API counts no further. */
const mostCounted = 1000;

/** Which deliveries wait, and how many: those states that have any. */
export function waitingStates(waiting: WebhookWaiting): { status: keyof WebhookWaiting; words: string }[] {
  return (['retrying', 'pending', 'held'] as const)
    .filter((status) => waiting[status] > 0)
    .map((status) => {
      const count = waiting[status];
      return { status, words: `${formatCount(count)}${count >= mostCounted ? ' or more' : ''} ${status}` };
    });
}
