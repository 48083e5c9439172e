import { newPolicy, type PolicyChange, type ShownPolicy } from '../../contracts/webhook-policy.ts';
import type { PolicyRow } from '../../db/webhook-policy.ts';

/** A webhook's policy as the API shows it: no secret is in it. */
export function toPolicy(row: PolicyRow & { active: boolean }): ShownPolicy {
  return {
    retry: row.retry ?? { preset: 'page' },
    timeout_ms: row.timeoutMs,
    headers: Object.fromEntries(row.headerNames.map((name) => [name, { set: true as const }])),
    auth: row.auth,
    filter: row.filter,
    rate_limit: row.rateLimit,
    max_concurrent: row.maxConcurrent,
    signatures: row.signatures,
    probe_when_down: row.probeWhenDown,
    ordering: row.ordering,
    on_failure: row.onFailure,
    blocked_lines: row.blockedLines,
    health: {
      state: row.healthState,
      since: row.healthSince?.toISOString() ?? null,
      // An inactive webhook makes no attempt.
      next_probe_at: (row.active && row.nextProbeAt?.toISOString()) || null,
    },
    paused:
      row.pausedAt === null
        ? null
        : {
            at: row.pausedAt.toISOString(),
            until: row.pausedUntil?.toISOString() ?? null,
            reason: row.pauseReason,
          },
  };
}

const fields = Object.keys(newPolicy) as (keyof PolicyChange)[];

/** The policy that a body names. */
export const policyIn = (given: PolicyChange): PolicyChange =>
  Object.fromEntries(fields.map((field) => [field, given[field]]));

/** The whole policy of a webhook that is replaced: fields that the body leaves out get their defaults. */
export const wholePolicyIn = (given: PolicyChange) =>
  Object.fromEntries(fields.map((field) => [field, given[field] ?? null])) as Required<PolicyChange>;
