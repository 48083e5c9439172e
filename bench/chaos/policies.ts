/**
 * The policies that a webhook gets, each by one call; `plain` is the default. The checks of each are in
 * `check-policies.ts`. With every policy, the run checks that nothing is lost.
 */
export const policies = {
  plain: {},
  rate: { rate_limit: { attempts: 3, seconds: 2 } },
  one: { max_concurrent: 1 },
  longer: { retry: { schedule_seconds: [1, 1, 2, 2], also: ['4xx'], jitter: 0.2 }, apply_to: 'waiting' },
  single: { retry: { preset: 'none' } },
  quick: { timeout_ms: 1000, headers: { 'X-Chaos': 'yes' }, signatures: ['v1', 'v1a'] },
  filtered: { filter: { all: [{ path: '/labels', op: 'eq', value: 'odd' }] } },
  probing: { probe_when_down: true },
  gone: { retry: { preset: 'page', on_gone: 'disable' } },
  /** Its own schedule counts for deliveries that wait, too: so each 429 but the last one is retried. */
  obeying: { retry: { schedule_seconds: [1, 1, 2], also: ['429'] }, apply_to: 'waiting' },
  patient: { timeout_ms: 15_000 },
  basic: { auth: { type: 'basic', username: 'chaos', password: 'of the receiver' } },
  day: { retry: { preset: 'day' } },
  three_days: { retry: { preset: 'three_days' } },
} as const;
export type Policy = keyof typeof policies;
export const policyNames = Object.keys(policies) as Policy[];

const defaults = {
  retry: null,
  timeout_ms: null,
  auth: null,
  headers: null,
  signatures: null,
  filter: null,
  rate_limit: null,
  max_concurrent: null,
  probe_when_down: null,
};

/** A change that leaves nothing of the policy before. */
export const changeTo = (policy: Policy) => ({ ...defaults, ...policies[policy] });

/** Whether a webhook with that policy gets an event with these labels. */
export const letsThrough = (policy: Policy, labels: readonly string[]): boolean =>
  policy !== 'filtered' || labels.includes('odd');
