import type { RangeStats } from '../contracts/stats.ts';
import type { Webhook, WebhookWaiting } from '../contracts/webhook.ts';
import { formatCount } from './format.ts';
import type { LogSearch } from './log-search.ts';

type Counts = Pick<RangeStats['data'][number]['buckets'][number], 'attempts' | 'failed_attempts'>;

/** The number of recent attempts that decide whether a webhook is failing. */
const minAttempts = 5;

/** At least half of the recent attempts failed. Counts back bucket by bucket until there are `minAttempts`. */
export function isFailing(buckets: readonly Counts[]): boolean {
  let [attempts, failed] = [0, 0];
  for (const bucket of buckets.toReversed()) {
    attempts += bucket.attempts;
    failed += bucket.failed_attempts;
    if (attempts >= minAttempts) break;
  }
  return attempts > 0 && failed * 2 >= attempts;
}

/** The most urgent first. */
export const webhookStates = ['down', 'disabled', 'failing', 'paused', 'healthy'] as const;
export type WebhookState = (typeof webhookStates)[number];

export type WebhookWithState = Pick<Webhook, 'active' | 'auto_disabled' | 'warning' | 'health'>;

/**
 * `health` is judged from the last hour and at least 5 attempts. A webhook with fewer of them, most of which failed, is not
 * shown as healthy either.
 *
 * @param buckets the last 24 hours; undefined while loading
 */
export function webhookStateOf(
  { active, auto_disabled: disabled, warning, health }: WebhookWithState,
  buckets: readonly Counts[] = [],
): WebhookState {
  if (disabled) return 'disabled';
  if (!active) return 'paused';
  if (health.state !== 'healthy') return health.state;
  return warning || isFailing(buckets) ? 'failing' : 'healthy';
}

/** The most urgent first, then as given. */
export const byUrgency = <Row extends { state: WebhookState }>(rows: readonly Row[]): Row[] =>
  rows.toSorted((a, b) => webhookStates.indexOf(a.state) - webhookStates.indexOf(b.state));

/** The number of webhooks in each state that occurs, the most urgent first. */
export const countStates = (states: readonly WebhookState[]): { state: WebhookState; count: number }[] =>
  webhookStates
    .map((state) => ({ state, count: states.filter((each) => each === state).length }))
    .filter(({ count }) => count > 0);

/** The share of attempts that failed; null without attempts. */
export const failedShare = ({ attempts, failed_attempts: failed }: Counts): number | null =>
  attempts === 0 ? null : failed / attempts;

/** The colour of a share of failed attempts: from where a webhook is failing, and from one half. */
export function toneOfShare(share: number | null): 'bad' | 'warn' | undefined {
  if (share === null || share < 0.2) return undefined;
  return share < 0.5 ? 'warn' : 'bad';
}

/** The API stops counting here, for each webhook. */
const maxCount = 1000;

export type WaitingCount = {
  status: 'retrying' | 'pending' | 'held';
  count: number;
  text: string;
  /** Numbers of some of these deliveries. Each is in `count`, too. */
  parts: {
    text: string;
    /** Further filters of the log that show these. */
    filters: Pick<LogSearch, 'deferred' | 'waits_for'>;
  }[];
};

/** The number of waiting deliveries of these webhooks by status, as in the log, without zeros. */
export function waitingCounts(all: readonly WebhookWaiting[]): WaitingCount[] {
  const sumOf = (name: keyof WebhookWaiting) => all.reduce((sum, each) => sum + each[name], 0);
  const textOf = (name: keyof WebhookWaiting, status: WaitingCount['status']) => {
    const isBound = all.some((each) => each[status] >= maxCount);
    return `${formatCount(sumOf(name))}${isBound ? '+' : ''} ${name}`;
  };
  const partsOf = {
    retrying: [],
    pending: [
      { name: 'deferred', filters: { deferred: true } },
      { name: 'scheduled', filters: { waits_for: 'scheduled' } },
    ],
    held: [],
  } as const;
  return (['retrying', 'pending', 'held'] as const)
    .map((status) => ({
      status,
      count: sumOf(status),
      text: textOf(status, status),
      parts: partsOf[status]
        .filter(({ name }) => sumOf(name) > 0)
        .map(({ name, filters }) => ({ text: textOf(name, status), filters })),
    }))
    .filter(({ count }) => count > 0);
}

/** @example totalOf(counts) // '1,083+' */
export function totalOf(counts: readonly WaitingCount[]): string {
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  return `${formatCount(total)}${counts.some(({ text }) => text.includes('+')) ? '+' : ''}`;
}
