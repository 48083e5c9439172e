import type { Facts } from './facts.ts';
import { isCertain } from './in-force.ts';
import { isDisturbed, type Webhook } from './model.ts';

/** The longest time that an attempt from before a change may take. */
const attemptMs = 5000;
/** A process that was stopped or cut off continues where it was. */
const afterFaultMs = 20_000;

type GoneFacts = Pick<Facts, 'model' | 'attempts' | 'requests' | 'changes' | 'goneRecords'>;

/** A webhook whose policy wants that is disabled by a 410, once for each, and gets nothing while it is not active. */
export function checkGone(facts: GoneFacts): string[] {
  return facts.model.webhooks.flatMap((webhook) => [
    ...checkDisabled(webhook, facts),
    ...checkInactive(webhook, facts),
  ]);
}

function checkDisabled(webhook: Webhook, { attempts, requests, changes, goneRecords }: GoneFacts): string[] {
  const { id, path, policies, deleteSentAt } = webhook;
  const own = changes.filter(({ webhookId }) => webhookId === id);
  const records = goneRecords.filter(({ webhookId }) => webhookId === id);
  const times = own.filter(({ kind }) => kind === 'gone').length;
  const statuses = new Map(attempts.map((attempt) => [attempt.id, attempt.statusCode]));
  const without = records.find(({ attemptId }) => statuses.get(attemptId) !== 410);
  const missed = requests.find(({ path: to, at, attemptId }) => {
    if (to !== path || statuses.get(attemptId) !== 410 || deleteSentAt !== null) return false;
    if (!isCertain(policies, 'gone', at - attemptMs, at + attemptMs)) return false;
    const isOff = (kind: string) => kind === 'gone' || kind === 'off';
    const last = own.findLast((each) => each.at < at && (each.kind === 'on' || isOff(each.kind)));
    return !(last && isOff(last.kind)) && !own.some((each) => each.at >= at && isOff(each.kind));
  });
  return [
    ...(times === records.length
      ? []
      : [`${id} was disabled ${times} times by a 410, and the audit log has ${records.length}`]),
    ...(without ? [`${id} was disabled by ${without.attemptId}, which got no 410`] : []),
    ...(missed ? [`${id} got a 410 for ${missed.attemptId}, and was not disabled`] : []),
  ];
}

function checkInactive({ id, path }: Webhook, { model, requests, changes }: GoneFacts): string[] {
  const own = changes.filter(({ webhookId }) => webhookId === id);
  return own.flatMap(({ kind, at: offAt }, index) => {
    if (kind !== 'gone' && kind !== 'off') return [];
    const onAt = own.slice(index).find((each) => each.kind === 'on')?.at ?? Infinity;
    const request = requests.find(
      ({ path: to, at }) =>
        to === path &&
        at > offAt + attemptMs &&
        at < onAt &&
        !isDisturbed(model.disturbances, at - afterFaultMs, at),
    );
    return request ? [`${id} is not active, and got ${request.attemptId}`] : [];
  });
}
