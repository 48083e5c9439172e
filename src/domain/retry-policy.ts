import type { RetryPolicy, RetryPreset } from '../contracts/webhook-policy.ts';

const minutes = 60;
const hours = 3600;

const day = [5, 5 * minutes, 30 * minutes, 2 * hours, 5 * hours, 10 * hours];

/** The waits of `day`, then one every 12 hours, as long as the last attempt is made within so many days. */
function daysOf(count: number): number[] {
  const waits = [...day];
  let seconds = waits.reduce((sum, wait) => sum + wait, 0);
  for (; seconds + 12 * hours <= count * 24 * hours; seconds += 12 * hours) waits.push(12 * hours);
  return waits;
}

/** The waits before the retries of each preset, in seconds; null: those of the setting FLTR_RETRY_SCHEDULE_SECONDS. */
const presetSchedules: Record<RetryPreset, readonly number[] | null> = {
  page: null,
  day,
  three_days: daysOf(3),
  week: daysOf(7),
  none: [],
};

/** The effect of a preset for a receiver that is away for an hour, a night (12 hours) or a weekend (60 hours). */
export const presetTexts: Record<RetryPreset, string> = {
  page: 'Retries for 36 minutes (the default of the service): in an outage of an hour, a night or a weekend, deliveries fail.',
  day: 'Retries for 17 hours: after an outage of an hour or a night, all is delivered; in one of a weekend, deliveries fail.',
  three_days: 'Retries for 65 hours: after an outage of an hour, a night or a weekend, all is delivered.',
  week: 'Retries for 6½ days: after an outage of an hour, a night or a weekend, or one of most of a week, all is delivered.',
  none: 'Never retries: in an outage of an hour, a night or a weekend, and in the shortest one, deliveries fail.',
};

/**
 * The waits before the retries of a policy, in seconds; null: those of the setting.
 *
 * @example scheduleOf({ preset: 'day' }) // [5, 300, 1800, 7200, 18000, 36000]
 */
export function scheduleOf(policy: RetryPolicy | null): number[] | null {
  if (policy === null) return null;
  const { preset, schedule_seconds: own } = policy;
  const schedule = preset === undefined ? (own ?? null) : presetSchedules[preset];
  return schedule && [...schedule];
}

/**
 * A policy as it is stored: the preset of the page alone is the default, as if there were none.
 *
 * @example ownPolicy({ preset: 'page' }) // null
 */
export function ownPolicy(policy: RetryPolicy | null): RetryPolicy | null {
  const isDefault = policy?.preset === 'page' && Object.keys(policy).length === 1;
  return isDefault ? null : policy;
}

/** The settings by which another attempt may follow. */
export type RetryTerms = {
  /** The webhook's; null: it has none of its own. */
  policy: RetryPolicy | null;
  /** The schedule's wait after this attempt, in seconds; null: it is the last one. */
  scheduledSeconds: number | null;
  /** The longest wait of the schedule, in seconds. */
  longestSeconds: number;
  /** It tests a webhook that is down, and uses no wait of the schedule. */
  isProbe?: boolean;
};

/** For an attempt that is not retried, such as a test event's. */
export const noRetry: RetryTerms = { policy: null, scheduledSeconds: null, longestSeconds: 0 };

type Delivery = {
  policy: RetryPolicy | null;
  /** Its own, or the one that was applied to it since; null: the setting. */
  schedule: readonly number[] | null;
  /** Whether `schedule` was applied to it since it was accepted. */
  isScheduleApplied: boolean;
  /** Waits of the schedule that were used. */
  retriesUsed: number;
};

/**
 * The terms of a delivery's next attempt. A delivery without a schedule of its own keeps the setting with which its workflow was
 * started.
 *
 * @param scheduledSeconds the wait by that schedule
 * @param setting the schedule of the setting
 * @example termsOf({ policy: null, schedule: [5, 300], isScheduleApplied: false, retriesUsed: 1 }, 300, [60]).scheduledSeconds // 300
 */
export function termsOf(
  { policy, schedule, isScheduleApplied, retriesUsed }: Delivery,
  scheduledSeconds: number | null,
  setting: readonly number[],
): RetryTerms {
  const chosen = schedule ?? (isScheduleApplied ? setting : null);
  return {
    policy,
    scheduledSeconds: chosen === null ? scheduledSeconds : (chosen[retriesUsed] ?? null),
    longestSeconds: Math.max(0, ...(chosen ?? setting)),
  };
}

/**
 * A wait that is longer or shorter by up to a share of it, in whole seconds, at least 1.
 *
 * @param random from 0 to 1
 * @example withJitter(300, 0.1, 1) // 330
 */
export const withJitter = (seconds: number, jitter: number, random: number): number =>
  jitter === 0 ? seconds : Math.max(1, Math.round(seconds * (1 + jitter * (2 * random - 1))));
