import { manners, type Manner } from './torture-receiver.ts';

type Policy = Record<string, unknown>;

const forAll: Policy[] = [
  {},
  { ordering: 'by_key' },
  { rate_limit: { attempts: 20, seconds: 1 } },
  { max_concurrent: 2 },
  { timeout_ms: 3000, headers: { 'X-Torture': 'yes' }, signatures: ['v1', 'v1a'] },
  { retry: { schedule_seconds: [1, 1, 2, 2, 3, 3, 5, 5], also: ['429'], jitter: 0.2 } },
  { filter: { any: [{ path: '/data/dataset_id', op: 'eq', value: 'ds' }] } },
];
/** A receiver that fails at first would be probed for hours. */
const probing = { probe_when_down: true };

/** The policy of a webhook: one of each kind at every kind of receiver. All of them deliver in the end, as far as the receiver accepts. */
export function policyOf(manner: Manner, number: number): Policy {
  const round = Math.floor(number / manners.length) % (forAll.length + 1);
  return forAll[round] ?? (manner === 'healthy' || manner === 'slow' ? probing : {});
}
