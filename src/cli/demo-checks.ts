import type { Delivery } from '../contracts/delivery.ts';
import type { DemoRequest } from './demo-receiver.ts';

export type DemoEvent = { id: string; event: string; timestamp: string; data: unknown };
/** A webhook and the expected end of its deliveries. */
export type DemoWebhook = {
  name: string;
  webhookId: string;
  status: 'delivered' | 'failed';
  reason: string | null;
  codes: readonly number[];
};

/** The differences between the expected and the actual deliveries. */
export function findFaults(
  webhooks: readonly DemoWebhook[],
  events: readonly DemoEvent[],
  deliveries: readonly Delivery[],
  requests: readonly DemoRequest[],
  scheduleSeconds: readonly number[],
): string[] {
  const attemptIds = requests.map((request) => request.attemptId);
  return [
    ...(deliveries.length === webhooks.length * events.length
      ? []
      : [`${deliveries.length} deliveries instead of ${webhooks.length * events.length}`]),
    ...(new Set(attemptIds).size === attemptIds.length ? [] : ['the id of an attempt was used twice']),
    ...events.flatMap((event) => faultsOfEvent(event, requests)),
    ...webhooks.flatMap((webhook) =>
      events.flatMap((event) => {
        const delivery = deliveries.find(
          (one) => one.webhook_id === webhook.webhookId && one.event_id === event.id,
        );
        const sent = requests.filter((one) => one.webhook === webhook.name && one.eventId === event.id);
        const faults = delivery
          ? faultsOfDelivery(webhook, delivery, sent, scheduleSeconds)
          : ['has no delivery'];
        return faults.map((fault) => `${webhook.name}, ${event.event}: ${fault}`);
      }),
    ),
  ];
}

/** All attempts to all webhooks must send the published event, with the same bytes and the same id. */
function faultsOfEvent(event: DemoEvent, requests: readonly DemoRequest[]): string[] {
  const sent = requests.filter((request) => request.eventId === event.id);
  const expected = Buffer.from(
    JSON.stringify({ id: event.id, event: event.event, timestamp: event.timestamp, data: event.data }),
  );
  const faults: string[] = [];
  if (!sent.every(({ body }) => body.equals(expected)))
    faults.push('the body differs from the published event');
  if (!sent.every(({ standardId }) => standardId === event.id)) faults.push('webhook-id is not the event id');
  return faults.map((fault) => `${event.event}: ${fault}`);
}

function faultsOfDelivery(
  webhook: DemoWebhook,
  delivery: Delivery,
  sent: readonly DemoRequest[],
  scheduleSeconds: readonly number[],
): string[] {
  const faults = sent.flatMap((request) => request.faults);
  if (delivery.status !== webhook.status) faults.push(`${delivery.status} instead of ${webhook.status}`);
  if (delivery.reason !== webhook.reason)
    faults.push(`reason ${delivery.reason ?? 'none'} instead of ${webhook.reason ?? 'none'}`);
  const codes = webhook.codes.join(' ');
  const sentCodes = sent.map((request) => request.statusCode).join(' ');
  if (sentCodes !== codes) faults.push(`the receiver responded ${sentCodes || 'never'} instead of ${codes}`);
  const logged = delivery.attempts.map((attempt) => `${attempt.id} ${attempt.status_code}`).join();
  if (logged !== sent.map((request) => `${request.attemptId} ${request.statusCode}`).join())
    faults.push('the logged attempts differ from those received');
  for (const [index, waitedMs] of waitsMs(sent).entries()) {
    const minMs = (scheduleSeconds[index] ?? 0) * 1000;
    if (waitedMs < minMs) faults.push(`waited ${Math.round(waitedMs)} ms instead of at least ${minMs} ms`);
  }
  return faults;
}

/** Milliseconds from each response to the next request. */
export function waitsMs(sent: readonly DemoRequest[]): number[] {
  return sent.slice(1).map(({ arrivedAtMs }, index) => arrivedAtMs - (sent[index]?.respondedAtMs ?? 0));
}
