import { looseAttempts } from './check-cap.ts';
import type { Facts } from './facts.ts';
import { isCertain } from './in-force.ts';
import { isDisturbed, shifted, type Webhook } from './model.ts';
import { policies, type Policy } from './policies.ts';

/** The longest time that an attempt from before a change of the policy may take. */
const attemptMs = 5000;
/** How long a permit of a process that died or was stopped counts, and longer. */
const afterFaultMs = 20_000;

type PolicyFacts = Pick<Facts, 'model' | 'attempts' | 'requests'>;

/** Limits that a webhook's policy sets hold in every window in which it is certainly in force. */
export function checkPolicies(facts: PolicyFacts): string[] {
  return facts.model.webhooks.flatMap((webhook) => [
    ...checkRate(webhook, facts),
    ...checkConcurrency(webhook, facts),
  ]);
}

function checkRate(webhook: Webhook, { model, attempts, requests }: PolicyFacts): string[] {
  const { attempts: most, seconds } = policies.rate.rate_limit;
  const loose = looseAttempts(requests, model.shifts);
  const starts = attempts
    .filter((each) => each.webhookId === webhook.id && !each.isOperational && !loose.has(each.id))
    .map(({ startedAt }) => startedAt)
    .sort((a, b) => a - b);
  for (const [index, first] of starts.entries()) {
    const last = starts[index + most];
    if (last === undefined || last - first >= seconds * 1000) continue;
    if (!isInForce(webhook, 'rate', first - attemptMs, last, model)) continue;
    const from = new Date(first).toISOString();
    return [
      `${webhook.id} has ${most + 1} attempts in ${last - first} ms from ${from} on; its rate is ${most}`,
    ];
  }
  return [];
}

/** Times of the database have moved; those of the calls have not. */
function isInForce(webhook: Webhook, policy: Policy, from: number, to: number, model: PolicyFacts['model']) {
  const settings = webhook.policies.map(({ value, sentAt, doneAt }) => ({
    value,
    sentAt: shifted(sentAt, model.shifts),
    doneAt: doneAt === null ? null : shifted(doneAt, model.shifts),
  }));
  return isCertain(settings, policy, from, to);
}

function checkConcurrency(webhook: Webhook, { model, requests }: PolicyFacts): string[] {
  const own = requests.filter(({ path }) => path === webhook.path).sort((a, b) => a.at - b.at);
  for (const [index, request] of own.entries()) {
    const next = own[index + 1];
    if (!next || next.at >= request.endedAt) continue;
    if (!isCertain(webhook.policies, 'one', request.at - attemptMs, next.at)) continue;
    if (isDisturbed(model.disturbances, request.at - afterFaultMs, next.at)) continue;
    return [`${webhook.id} got ${next.attemptId} while ${request.attemptId} was under way; it allows one`];
  }
  return [];
}
