import type { Delivery } from '../contracts/delivery.ts';
import type { DemoRequest } from './demo-receiver.ts';

export type DemoEvent = { id: string; event: string; timestamp: string; data: unknown };
/** How each of a webhook's deliveries must end. */
export type DemoPlan = {
  name: string;
  webhookId: string;
  status: 'delivered' | 'failed';
  reason: string | null;
  codes: readonly number[];
};

/** What is not as promised, in words; empty: everything is. */
export function findFaults(
  plans: readonly DemoPlan[],
  events: readonly DemoEvent[],
  deliveries: readonly Delivery[],
  requests: readonly DemoRequest[],
  scheduleSeconds: readonly number[],
): string[] {
  const attemptIds = requests.map((request) => request.attemptId);
  return [
    ...(deliveries.length === plans.length * events.length
      ? []
      : [`${deliveries.length} deliveries instead of ${plans.length * events.length}`]),
    ...(new Set(attemptIds).size === attemptIds.length ? [] : ['X-FLTR-Delivery came twice']),
    ...events.flatMap((event) => faultsOfEvent(event, requests)),
    ...plans.flatMap((plan) =>
      events.flatMap((event) => {
        const delivery = deliveries.find(
          (one) => one.webhook_id === plan.webhookId && one.event_id === event.id,
        );
        const sent = requests.filter((one) => one.webhook === plan.name && one.eventId === event.id);
        const faults = delivery
          ? faultsOfDelivery(plan, delivery, sent, scheduleSeconds)
          : ['has no delivery'];
        return faults.map((fault) => `${plan.name}, ${event.event}: ${fault}`);
      }),
    ),
  ];
}

/** Over all webhooks and attempts: the same bytes, the same id, and they say what was published. */
function faultsOfEvent(event: DemoEvent, requests: readonly DemoRequest[]): string[] {
  const sent = requests.filter((request) => request.eventId === event.id);
  const expected = Buffer.from(
    JSON.stringify({ id: event.id, event: event.event, timestamp: event.timestamp, data: event.data }),
  );
  const faults: string[] = [];
  if (!sent.every(({ body }) => body.equals(expected)))
    faults.push('the body is not the same, or not what was published');
  if (!sent.every(({ standardId }) => standardId === event.id)) faults.push('webhook-id is not its id');
  return faults.map((fault) => `${event.event}: ${fault}`);
}

function faultsOfDelivery(
  plan: DemoPlan,
  delivery: Delivery,
  sent: readonly DemoRequest[],
  scheduleSeconds: readonly number[],
): string[] {
  const faults = sent.flatMap((request) => request.faults);
  if (delivery.status !== plan.status) faults.push(`${delivery.status} instead of ${plan.status}`);
  if (delivery.reason !== plan.reason)
    faults.push(`reason ${delivery.reason ?? 'none'} instead of ${plan.reason ?? 'none'}`);
  const codes = plan.codes.join(' ');
  const sentCodes = sent.map((request) => request.statusCode).join(' ');
  if (sentCodes !== codes) faults.push(`the receiver answered ${sentCodes || 'nothing'} instead of ${codes}`);
  const logged = delivery.attempts.map((attempt) => `${attempt.id} ${attempt.status_code}`).join();
  if (logged !== sent.map((request) => `${request.attemptId} ${request.statusCode}`).join())
    faults.push('its log tells other attempts than the receiver saw');
  for (const [index, waitedMs] of waitsMs(sent).entries()) {
    const leastMs = (scheduleSeconds[index] ?? 0) * 1000;
    if (waitedMs < leastMs) faults.push(`waited ${Math.round(waitedMs)} ms instead of ${leastMs} ms or more`);
  }
  return faults;
}

/** Milliseconds from each answer to the request after it. */
export function waitsMs(sent: readonly DemoRequest[]): number[] {
  return sent.slice(1).map(({ arrivedAtMs }, index) => arrivedAtMs - (sent[index]?.answeredAtMs ?? 0));
}
