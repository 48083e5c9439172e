import { judgeAttempt, type Response, type Verdict } from './outcome.ts';
import { withJitter, type RetryTerms } from './retry-policy.ts';
import { requestedSeconds, waitSeconds } from './retry-schedule.ts';

/** After a failed probe, until the times of the webhook's queue are computed again. */
const probeWaitSeconds = 30;

type Attempt = {
  response: Response;
  /** The header's value. */
  retryAfter: string | undefined;
  terms: RetryTerms;
  /** When the attempt ended. */
  now: Date;
  /** From 0 to 1. */
  random: number;
};

type Next = Verdict & {
  /** The wait before the next attempt; null: there is none. */
  waitSeconds: number | null;
  /** For how long the receiver has requested that the webhook makes no attempt; null: it has not. */
  deferSeconds: number | null;
};

/**
 * The decision after an attempt, by the policy of its webhook: the outcome, the wait with jitter and `Retry-After`, and whether
 * the whole webhook waits. Without a policy, `Retry-After` counts on a 5xx only.
 *
 * @example decideNext({ response: { kind: 'responded', statusCode: 429 }, retryAfter: '60', terms, … }).deferSeconds // 60
 */
export function decideNext({ response, retryAfter, terms, now, random }: Attempt): Next {
  const { policy, scheduledSeconds, isProbe = false } = terms;
  const isLast = scheduledSeconds === null && !isProbe;
  const verdict = judgeAttempt(response, isLast, policy?.also);
  if (verdict.outcome !== 'retry') return { ...verdict, waitSeconds: null, deferSeconds: null };
  const statusCode = response.kind === 'responded' ? response.statusCode : null;
  const { longestSeconds } = terms;
  const scheduled =
    isProbe || scheduledSeconds === null
      ? probeWaitSeconds
      : withJitter(scheduledSeconds, policy?.jitter ?? 0, random);
  return {
    ...verdict,
    waitSeconds: waitSeconds({
      scheduledSeconds: scheduled,
      statusCode,
      retryAfter,
      now,
      longestSeconds,
      isAnyStatus: policy !== null,
    }),
    deferSeconds: statusCode === 429 ? requestedSeconds(retryAfter, now, longestSeconds) : null,
  };
}
