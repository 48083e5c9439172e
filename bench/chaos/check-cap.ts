import type { CapInForce, Shift } from './model.ts';
import { shifted } from './model.ts';
import type { Request } from './receivers.ts';
import type { AttemptRow, DeliveryRow } from './rows.ts';

const hourMs = 3_600_000;
/** The cap counts by the database's clock, an attempt starts a little later by its process' own. */
const clockMs = 5000;

/** Events of the service itself do not count. */
const counts = ({ isOperational }: AttemptRow): boolean => !isOperational;

export type CapFacts = {
  attempts: readonly AttemptRow[];
  requests: readonly Request[];
  caps: readonly CapInForce[];
  shifts: readonly Shift[];
};

/** No rolling hour has more attempts than the highest cap in force in it. */
export function checkCap({ attempts, requests, caps, shifts }: CapFacts): string[] {
  const faults: string[] = [];
  const loose = looseAttempts(requests, shifts);
  for (const [webhookId, own] of byWebhook(attempts.filter(counts))) {
    const starts = own
      .map(({ id, startedAt }) => ({ id, startedAt }))
      .sort((a, b) => a.startedAt - b.startedAt);
    for (const [index, { startedAt }] of starts.entries()) {
      const until = startedAt + hourMs - clockMs;
      const inHour = starts.slice(index).filter((each) => each.startedAt < until && !loose.has(each.id));
      const cap = highestCap(caps, shifts, startedAt - clockMs, until);
      if (inHour.length <= cap) continue;
      const from = new Date(startedAt).toISOString();
      faults.push(
        `${webhookId} has ${inHour.length} attempts in the hour from ${from} on; the cap is ${cap}`,
      );
      break;
    }
  }
  return faults;
}

/** Attempts that may have been admitted before a shift and recorded after it: their time is not certain. */
export function looseAttempts(requests: readonly Request[], shifts: readonly Shift[]): Set<string> {
  const isBeside = ({ at }: Request) => shifts.some((shift) => Math.abs(at - shift.at) < clockMs / 2);
  return new Set(requests.filter(isBeside).map(({ attemptId }) => attemptId));
}

function highestCap(
  caps: readonly CapInForce[],
  shifts: readonly Shift[],
  from: number,
  until: number,
): number {
  const inForce = caps.filter(
    (each) =>
      shifted(each.from, shifts) <= until && (each.to === Infinity || shifted(each.to, shifts) >= from),
  );
  return Math.max(...inForce.map(({ cap }) => (cap === 0 ? Infinity : cap)));
}

export type DeferralFacts = {
  now: number;
  /** 0: none. */
  cap: number;
  attempts: readonly AttemptRow[];
  /** As `looseAttempts` finds them. */
  loose: ReadonlySet<string>;
  /** Deliveries that wait for the cap, and for nothing else. */
  deferred: readonly Pick<DeliveryRow, 'id' | 'webhookId' | 'nextAttemptAt'>[];
  /** `hourly_cap.used` as the API says, by webhook. */
  used: ReadonlyMap<string, number>;
};

/** Nothing is deferred longer than the cap requires, and the API's count of used attempts is that of the log. */
export function checkDeferrals({ now, cap, attempts, loose, deferred, used }: DeferralFacts): string[] {
  const faults: string[] = [];
  const attemptsOf = byWebhook(attempts.filter(counts));
  for (const [webhookId, waiting] of byWebhook(deferred)) {
    const starts = (attemptsOf.get(webhookId) ?? [])
      .map(({ startedAt }) => startedAt)
      .filter((at) => at > now - hourMs);
    const ideal = idealTimes(starts, waiting.length, cap, now);
    const inOrder = waiting.toSorted((a, b) => (a.nextAttemptAt ?? 0) - (b.nextAttemptAt ?? 0));
    for (const [index, { id, nextAttemptAt }] of inOrder.entries()) {
      const late = (nextAttemptAt ?? 0) - (ideal[index] ?? 0);
      if (late <= clockMs) continue;
      faults.push(
        `${id} to ${webhookId} waits ${Math.round(late / 1000)} s longer than the cap of ${cap} requires`,
      );
      break;
    }
  }
  for (const [webhookId, count] of used) {
    const own = attemptsOf.get(webhookId) ?? [];
    const certain = own.filter(({ id }) => !loose.has(id));
    const within = (rows: readonly AttemptRow[], ms: number) =>
      rows.filter(({ startedAt }) => startedAt > now - ms).length;
    const [least, most] = [within(certain, hourMs - clockMs), within(own, hourMs + clockMs)];
    if (count < Math.min(least, cap) || count > most)
      faults.push(`${webhookId}: hourly_cap.used is ${count}; the log has ${least} to ${most} attempts`);
  }
  return faults;
}

/** When `count` deferred attempts may start: each an hour after the attempt that is `cap` before it. */
function idealTimes(starts: readonly number[], count: number, cap: number, now: number): number[] {
  const times = starts.toSorted((a, b) => a - b);
  const first = times.length;
  for (let index = 0; index < count; index += 1) {
    const before = cap === 0 ? undefined : times[times.length - cap];
    times.push(Math.max(now, before === undefined ? 0 : before + hourMs));
  }
  return times.slice(first);
}

export function byWebhook<T extends { webhookId: string }>(rows: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) groups.set(row.webhookId, [...(groups.get(row.webhookId) ?? []), row]);
  return groups;
}
