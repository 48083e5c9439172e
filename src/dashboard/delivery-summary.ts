import type { Attempt } from '../contracts/attempt-schema.ts';
import type { Delivery } from '../contracts/delivery.ts';
import type { Webhook } from '../contracts/webhook.ts';
import { formatDuration } from './durations.ts';
import { deferralText, lastResponse, statusText } from './delivery-text.ts';

type Result = Pick<Attempt, 'outcome' | 'status_code' | 'error' | 'duration_ms'>;
type Summarized = Pick<Delivery, 'status' | 'reason' | 'next_attempt_at' | 'waits_for' | 'timeline'> & {
  attempts: readonly Result[];
};

/** @example resultText({ status_code: 500, … }) // '500' */
export const resultText = ({ status_code: status, error }: Omit<Result, 'duration_ms' | 'outcome'>): string =>
  lastResponse({ last_status_code: status, last_error_code: error?.code ?? null });

/**
 * How many attempts failed, and how; undefined if none did.
 *
 * @example failuresText([{ status_code: 500, outcome: 'retry', … }, …]) // '3 of 4 attempts failed: 500 each time.'
 */
export function failuresText(attempts: readonly Result[]): string | undefined {
  const failed = attempts.filter(({ outcome }) => outcome !== 'delivered');
  if (failed.length === 0) return undefined;
  const counts = new Map<string, number>();
  for (const attempt of failed) counts.set(resultText(attempt), (counts.get(resultText(attempt)) ?? 0) + 1);
  const [[first = ''] = []] = counts;
  if (failed.length === 1) return `${subjectOf(1, attempts.length)} failed: ${first}.`;
  const results =
    counts.size === 1
      ? `${first} each time`
      : [...counts].map(([text, count]) => (count === 1 ? text : `${text} (${count} times)`)).join(', ');
  return `${subjectOf(failed.length, attempts.length)} failed: ${results}.`;
}

function subjectOf(failed: number, total: number): string {
  if (failed < total) return `${failed} of ${total} attempts`;
  return total === 1 ? 'The first attempt' : total === 2 ? 'Both attempts' : `All ${total} attempts`;
}

/** The outcome of a delivery so far, without the time of its next attempt. */
export function summaryText(delivery: Summarized): string {
  const { status, reason, attempts, waits_for: waitsFor } = delivery;
  const failures = failuresText(attempts);
  const last = attempts.at(-1);
  if (status === 'delivered') {
    const delivered = attempts.findLast(({ outcome }) => outcome === 'delivered') ?? last;
    const result = delivered && `: ${resultText(delivered)} in ${formatDuration(delivered.duration_ms)}`;
    return [`Delivered${result ?? ''}.`, failures].filter(Boolean).join(' ');
  }
  if (failures === undefined || waitsFor?.reason === 'down')
    return [failures, statusText(delivery, last)].filter(Boolean).join(' ');
  const rest =
    status === 'retrying'
      ? deferralText(delivery)
      : reason === 'retries_exhausted'
        ? undefined
        : statusText(delivery, last);
  return [failures, rest].filter(Boolean).join(' ');
}

/** Why nothing can be sent to the webhook of a delivery, and the remedy; undefined if it can. */
export function obstacleOf(
  webhook: Pick<Webhook, 'active' | 'auto_disabled'> | undefined,
  body: string | null | undefined,
): string | undefined {
  if (!webhook) return 'The webhook was deleted, so nothing can be sent to it.';
  if (body === null)
    return 'The payload was removed, so it cannot be sent again: its retention period ended, or its event was expunged.';
  if (webhook.active) return undefined;
  const state = webhook.auto_disabled ? 'was disabled automatically' : 'is paused';
  return `The webhook ${state}. Activate it first.`;
}
