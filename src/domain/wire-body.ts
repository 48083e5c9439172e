import type { WebhookFormat } from '../contracts/webhook-format.ts';
import { dataTextOf, eventText, textFor } from './body-formats.ts';

/**
 * The bytes that are stored for an event: `{"id","event","timestamp","data"}` in UTF-8, in this order. Every attempt to a
 * webhook of the format `fltr` sends them.
 *
 * @example wireBody({ id: 'evt_1', event: 'document.deleted', timestamp: '2024-01-10T12:05:00Z', data: { … } })
 */
export function wireBody(event: { id: string; event: string; timestamp: string; data: unknown }): Buffer {
  return wireBodyOf({ ...event, data: JSON.stringify(event.data) });
}

/** The same, with data that is JSON text already and is used unchanged. */
export function wireBodyOf(event: { id: string; event: string; timestamp: string; data: string }): Buffer {
  return Buffer.from(eventText(event, event.data));
}

/** The time of acceptance: RFC 3339, UTC, whole seconds. */
export function wireTimestamp(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}

/**
 * The bytes that a webhook of that format is sent for an event's own bytes.
 *
 * @param accountId the account of the event
 * @example bodyFor('data', wireBody({ id: 'evt_1', …, data: { n: 1 } }), 'acc_1') // '{"n":1}'
 */
export function bodyFor(format: WebhookFormat, body: Buffer, accountId: string): Buffer {
  return format === 'fltr' ? body : Buffer.from(textFor(format, body.toString(), accountId));
}

/** The JSON text of the data in an event's bytes. */
export const dataOfBody = (body: Buffer): string => dataTextOf(body.toString());
