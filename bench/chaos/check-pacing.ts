import type { Change } from './changes.ts';
import type { Facts } from './facts.ts';
import { isCertain } from './in-force.ts';
import { isDisturbed, type Webhook } from './model.ts';
import type { Request } from './receivers.ts';

/** How long a permit of a process that died or was stopped counts, and longer. */
const afterFaultMs = 20_000;
/** An attempt that began before its webhook was paced, in a group that waited for its permits, is sent within so long. */
const underWayMs = 12_000;
/** A row whose change is not committed yet, or that another transaction locks. */
const commitMs = 1000;
/** The attempts of the first seconds are counted; a request is not equally long on its way as another. */
const rampSeconds = [1, 2, 3, 4];
const onTheWayMs = 100;

type PacingFacts = Pick<Facts, 'model' | 'attempts' | 'requests' | 'changes'>;

/** A webhook that is paced gets one probe at a time, then few requests a second, and its parked deliveries in order. */
export function checkPacing(facts: PacingFacts): string[] {
  return facts.model.webhooks.flatMap((webhook) => {
    const changes = facts.changes.filter(({ webhookId }) => webhookId === webhook.id);
    const requests = attemptRequests(webhook, facts);
    return [
      ...findBesideProbe(webhook, requests, changes, facts.model),
      ...findEarly(webhook, requests, changes, facts.model),
      ...findOutOfOrder(webhook, changes, facts.model),
    ];
  });
}

type Attempt = Request & { isProbe: boolean };

/** Those that the log has; events of the service itself are not paced. */
function attemptRequests({ path }: Webhook, { attempts, requests }: PacingFacts): Attempt[] {
  const logged = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  return requests
    .filter((request) => request.path === path)
    .flatMap((request) => {
      const attempt = logged.get(request.attemptId);
      return attempt && !attempt.isOperational ? [{ ...request, isProbe: attempt.isProbe }] : [];
    })
    .sort((a, b) => a.at - b.at);
}

/** The times in which it was paced. */
function pacedTimes(changes: readonly Change[]): { from: number; to: number }[] {
  return changes.flatMap(({ kind, at }, index) => {
    if (kind !== 'paced') return [];
    const end = changes.slice(index).find((each) => each.kind === 'unpaced' || each.kind === 'back');
    return [{ from: at, to: end?.at ?? Infinity }];
  });
}

function findBesideProbe(
  { id }: Webhook,
  requests: readonly Attempt[],
  changes: readonly Change[],
  { disturbances }: Facts['model'],
): string[] {
  return pacedTimes(changes).flatMap(({ from, to }) => {
    const within = requests.filter(({ at }) => at > from && at < to);
    const probes = within.filter(({ isProbe }) => isProbe);
    const isExcused = (since: number, until: number) =>
      isDisturbed(disturbances, since - afterFaultMs, until);
    const second = probes.find((probe, index) => {
      const before = probes[index - 1];
      return before && before.endedAt > probe.at && !isExcused(before.at, probe.at);
    });
    const other = within.find(({ at, isProbe }) => !isProbe && at > from + underWayMs && !isExcused(at, at));
    return [
      ...(second ? [`${id} got the probe ${second.attemptId} while another one was under way`] : []),
      ...(other ? [`${id} is paced, and got ${other.attemptId}, which is no probe`] : []),
    ];
  });
}

/** Back again, it gets 1, 2, 4, … requests a second. */
function findEarly(
  webhook: Webhook,
  requests: readonly Attempt[],
  changes: readonly Change[],
  { disturbances, shifts }: Facts['model'],
): string[] {
  const backs = changes.filter(({ kind }) => kind === 'back');
  return backs.flatMap(({ at: from }) =>
    rampSeconds.flatMap((seconds) => {
      const to = from + seconds * 1000 - onTheWayMs;
      const isOne =
        isCertain(webhook.policies, 'probing', from, to) && !shifts.some(({ at }) => at > from && at < to);
      const count = requests.filter(({ at }) => at > from && at < to).length;
      const most = 2 ** seconds - 1;
      if (!isOne || count <= most || isDisturbed(disturbances, from - afterFaultMs, to)) return [];
      const since = new Date(from).toISOString();
      return [`${webhook.id} got ${count} requests in ${seconds} s after ${since}; it was just back`];
    }),
  );
}

/** Of those that nobody has wanted earlier. */
function findOutOfOrder(webhook: Webhook, changes: readonly Change[], model: Facts['model']): string[] {
  if (webhook.operations + webhook.recoveries > 0) return [];
  const { disturbances, actions } = model;
  const pauses = disturbances.filter(({ kind }) => kind === 'process paused');
  const parkedAt = new Map<string, number>();
  const faults: string[] = [];
  for (const [index, { kind, deliveryId, transaction, at }] of changes.entries()) {
    if (deliveryId === null) continue;
    if (kind === 'parked') parkedAt.set(deliveryId, at);
    else parkedAt.delete(deliveryId);
    if (kind !== 'released' || (actions.get(deliveryId)?.retries ?? 0) > 0) continue;
    const older = [...parkedAt].find(([id, since]) => {
      if (id > deliveryId || since > at - commitMs) return false;
      const next = changes.slice(index).find((change) => change.deliveryId === id);
      return !next || (next.transaction !== transaction && next.at > at + commitMs);
    });
    if (older && !isDisturbed(pauses, at - afterFaultMs, at + commitMs))
      faults.push(`${deliveryId} of ${webhook.id} was released before ${older[0]}, which is older`);
  }
  return faults.slice(0, 3);
}
