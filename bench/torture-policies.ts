import { bearerToken, manners, type Demand, type Manner } from './torture-receiver.ts';

type Policy = Record<string, unknown>;

const forAll: Policy[] = [
  {},
  { ordering: 'by_key' },
  { rate_limit: { attempts: 20, seconds: 1 } },
  { max_concurrent: 2 },
  { timeout_ms: 3000, headers: { 'X-Torture': 'yes' }, signatures: ['v1', 'v1a'] },
  { retry: { schedule_seconds: [1, 1, 2, 2, 3, 3, 5, 5], also: ['429'], jitter: 0.2 } },
  { filter: { any: [{ path: '/data/dataset_id', op: 'eq', value: 'ds' }] } },
  { auth: { type: 'bearer', token: bearerToken } },
  // In no group. The token is fetched within the time limit, so it is still fresh when it is used.
  {
    auth: { type: 'oauth2', token_url: '', client_id: 'torture', client_secret: 'secret' },
    timeout_ms: 3000,
  },
  { timeout_ms: 15_000 },
];
/** A receiver that fails at first would be probed for hours. */
const probing = { probe_when_down: true };

/**
 * The policy of a webhook. Already with 30 webhooks each kind is at some receivers, with 200 at every kind of receiver. All of them
 * deliver in the end, as far as the receiver accepts.
 */
export function policyOf(manner: Manner, number: number, tokenUrl: string): Policy {
  const round = Math.floor(number / manners.length) + 3 * manners.indexOf(manner);
  const chosen = forAll[round % (forAll.length + 1)];
  if (!chosen) return manner === 'healthy' || manner === 'slow' ? probing : {};
  const auth = chosen['auth'] as { type: string } | undefined;
  return auth?.type === 'oauth2' ? { ...chosen, auth: { ...auth, token_url: tokenUrl } } : chosen;
}

/** What its requests must have to be accepted. */
export function demandOf(policy: Policy): Demand {
  const auth = policy['auth'] as { type: 'bearer' | 'oauth2' } | undefined;
  if (auth) return auth.type;
  return policy['retry'] === undefined ? 'nothing' : 'patience';
}
