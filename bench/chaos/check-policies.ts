import { scheduleOf } from '../../src/domain/retry-policy.ts';
import { looseAttempts } from './check-cap.ts';
import type { Facts } from './facts.ts';
import { isCertain, possibleValues } from './in-force.ts';
import { isDisturbed, shifted, type Webhook } from './model.ts';
import { policies, type Policy } from './policies.ts';
import { retryAfterSeconds } from './receivers.ts';

/** The longest time that an attempt from before a change of the policy may take. */
const attemptMs = 5000;
/** How long a permit of a process that died or was stopped counts, and longer. */
const afterFaultMs = 20_000;

type PolicyFacts = Pick<Facts, 'model' | 'deliveries' | 'attempts' | 'requests'>;

/** Limits that a webhook's policy sets hold in every window in which it is certainly in force. */
export function checkPolicies(facts: PolicyFacts): string[] {
  return facts.model.webhooks.flatMap((webhook) => [
    ...checkRate(webhook, facts),
    ...checkConcurrency(webhook, facts),
    ...checkAuthorization(webhook, facts),
    ...checkTimeLimit(webhook, facts),
    ...checkRetryAfter(webhook, facts),
    ...checkSchedules(webhook, facts),
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

const { username, password } = policies.basic.auth;
const expectedAuthorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

function checkAuthorization({ id, path, policies: settings }: Webhook, { requests }: PolicyFacts): string[] {
  const wrong = requests.find(({ path: to, at, authorization }) => {
    if (to !== path) return false;
    const possible = possibleValues(settings, at - attemptMs, at);
    if (authorization === expectedAuthorization) return !possible.includes('basic');
    return authorization !== null || possible.every((each) => each === 'basic');
  });
  return wrong ? [`${id} got ${wrong.attemptId} with the header Authorization: ${wrong.authorization}`] : [];
}

/** A response that came later than this has had the time limit of the policy, not that of the setting. */
const lateMs = 3000;

/** A late response is waited for, where the policy allows that. */
function checkTimeLimit(webhook: Webhook, { model, attempts, requests }: PolicyFacts): string[] {
  const logged = new Map(attempts.map((attempt) => [attempt.id, attempt.statusCode]));
  const longest = policies.patient.timeout_ms;
  const cut = requests.find(({ path, at, endedAt, attemptId }) => {
    const tookMs = endedAt - at;
    if (path !== webhook.path || tookMs < lateMs / 2 || logged.get(attemptId) !== null) return false;
    if (tookMs >= longest - attemptMs / 2 || !logged.has(attemptId)) return false;
    if (!isCertain(webhook.policies, 'patient', at - attemptMs, endedAt)) return false;
    return !isDisturbed(model.disturbances, at - afterFaultMs, endedAt + attemptMs);
  });
  return cut
    ? [`${webhook.id}: ${cut.attemptId} ended after ${cut.endedAt - cut.at} ms without a response`]
    : [];
}

/** After a 429 the whole webhook waits for as long as its receiver requests. */
function checkRetryAfter(webhook: Webhook, facts: PolicyFacts): string[] {
  const { model, deliveries, attempts, requests } = facts;
  const loose = looseAttempts(requests, model.shifts);
  const eventOf = new Map(deliveries.map(({ id, eventId }) => [id, model.events.get(eventId)]));
  const sentAt = new Map(requests.map(({ attemptId, at }) => [attemptId, at]));
  const own = attempts.filter(({ webhookId, isOperational }) => webhookId === webhook.id && !isOperational);
  return own.flatMap(({ id, deliveryId, number, statusCode, startedAt }) => {
    const acceptedFrom = eventOf.get(deliveryId)?.sentAt;
    if (statusCode !== 429 || number > 1 || acceptedFrom === undefined || loose.has(id)) return [];
    const from = Math.min(shifted(acceptedFrom, model.shifts), startedAt) - attemptMs;
    if (!isInForce(webhook, 'obeying', from, startedAt + attemptMs, model)) return [];
    const until = startedAt + retryAfterSeconds * 1000 - attemptMs;
    const early = own.find((other) => {
      if (other.startedAt < startedAt + attemptMs || other.startedAt > until || loose.has(other.id))
        return false;
      const at = sentAt.get(other.id);
      return at !== undefined && !isDisturbed(model.disturbances, at - afterFaultMs, at);
    });
    if (!early) return [];
    const after = Math.round((early.startedAt - startedAt) / 1000);
    return [
      `${webhook.id} got ${early.id} ${after} s after ${id}, whose response requested ${retryAfterSeconds} s`,
    ];
  });
}

/** Retries that nothing but the schedule of a preset has caused come no earlier than it says. */
function checkSchedules(webhook: Webhook, { model, deliveries, attempts }: PolicyFacts): string[] {
  const { id: webhookId, operations, recoveries, activations } = webhook;
  if (operations + recoveries + activations > 0) return [];
  const byDelivery = Map.groupBy(
    attempts.filter((attempt) => attempt.webhookId === webhookId),
    ({ deliveryId }) => deliveryId,
  );
  return (['day', 'three_days'] as const).flatMap((policy) =>
    deliveries.flatMap(({ id, eventId }) => {
      const own = (byDelivery.get(id) ?? []).toSorted((a, b) => a.number - b.number);
      const accepted = model.events.get(eventId)?.sentAt;
      const last = own.at(-1);
      if (!last || accepted === undefined || model.actions.has(id)) return [];
      const from = Math.min(shifted(accepted, model.shifts), own[0]?.startedAt ?? 0) - attemptMs;
      if (!isInForce(webhook, policy, from, last.startedAt, model)) return [];
      const waits = scheduleOf(policies[policy].retry) ?? [];
      const early = own.find(
        ({ startedAt }, index) =>
          index > 0 && startedAt - (own[index - 1]?.startedAt ?? 0) < (waits[index - 1] ?? Infinity) * 1000,
      );
      return early
        ? [`${id} was attempted again (${early.id}) before the time of its schedule ${policy}`]
        : [];
    }),
  );
}
