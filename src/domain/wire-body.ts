import type { WebhookFormat } from '../contracts/webhook-format.ts';
import { textFor } from './slack-text.ts';

/**
 * The bytes that every attempt of an event sends: `{"id","event","timestamp","data"}` in UTF-8, in this order.
 *
 * @example wireBody({ id: 'evt_1', event: 'document.deleted', timestamp: '2024-01-10T12:05:00Z', data: { … } })
 */
export function wireBody(event: { id: string; event: string; timestamp: string; data: unknown }): Buffer {
  return wireBodyOf({ ...event, data: JSON.stringify(event.data) });
}

/** The same, with data that is JSON text already and is used as it is. */
export function wireBodyOf(event: { id: string; event: string; timestamp: string; data: string }): Buffer {
  const { id, timestamp, data } = event;
  const rest = JSON.stringify({ id, event: event.event, timestamp });
  return Buffer.from(`${rest.slice(0, -1)},"data":${data}}`);
}

/** The time of acceptance: RFC 3339, UTC, whole seconds. */
export function wireTimestamp(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}

/** The bytes that a webhook of that format is sent for an event's own bytes. */
export function bodyFor(format: WebhookFormat, body: Buffer): Buffer {
  return format === 'fltr' ? body : Buffer.from(textFor(format, body.toString()));
}
