import type { Facts } from './facts.ts';
import { comesAt, isDisturbed, type Event } from './model.ts';

/** Times in the log have a resolution, and two processes of a machine the same clock. */
const clockMs = 50;
/** An attempt reads the time of its end, and may wait for a slot or for the machine before its request. */
const beforeRequestMs = 3000;
/** A process that was stopped or cut off continues where it was. */
const afterFaultMs = 20_000;

type TimeFacts = Pick<Facts, 'model' | 'deliveries' | 'requests'>;

/** No request before the `deliver_at` of its event, unless somebody wanted it earlier, and none after its `expires_at`. */
export function checkTimes({ model, deliveries, requests }: TimeFacts): string[] {
  const webhooks = new Map(model.webhooks.map((webhook) => [webhook.path, webhook]));
  const ids = new Map(deliveries.map(({ id, eventId, webhookId }) => [`${eventId} ${webhookId}`, id]));
  return requests.flatMap(({ at, path, eventId, attemptId }) => {
    const event = model.events.get(eventId);
    const webhook = webhooks.get(path);
    if (!event || !webhook) return [];
    const id = ids.get(`${eventId} ${webhook.id}`);
    const { retries = 0, reschedules = 0 } = (id && model.actions.get(id)) || {};
    const isHurried = retries + reschedules + webhook.operations > 0;
    const early = earlyMs(event, at, model);
    if (early > clockMs && !isHurried)
      return [`${attemptId} of ${eventId} reached ${path} ${Math.round(early)} ms before its time`];
    const late = event.expiresAt === null ? 0 : at - comesAt(event.expiresAt, model.shifts, event.sentAt);
    const isExcused = isDisturbed(model.disturbances, at - afterFaultMs, at);
    return late > beforeRequestMs && !isExcused
      ? [`${attemptId} of ${eventId} reached ${path} ${Math.round(late)} ms after it expired`]
      : [];
  });
}

/** How long before its time; hours that have passed until then count. */
function earlyMs({ deliverAt, sentAt }: Event, at: number, { shifts }: Facts['model']): number {
  if (deliverAt === null) return 0;
  return (
    comesAt(
      deliverAt,
      shifts.filter((shift) => shift.at <= at),
      sentAt,
    ) - at
  );
}
