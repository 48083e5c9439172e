/**
 * The bytes that every attempt of an event sends: `{"id","event","timestamp","data"}` in UTF-8, in this order.
 *
 * @example wireBody({ id: 'evt_1', event: 'document.deleted', timestamp: '2024-01-10T12:05:00Z', data: { … } })
 */
export function wireBody(event: { id: string; event: string; timestamp: string; data: unknown }): Buffer {
  const { id, timestamp, data } = event;
  return Buffer.from(JSON.stringify({ id, event: event.event, timestamp, data }));
}

/** The time of acceptance as the page writes it: RFC 3339, UTC, whole seconds. */
export function wireTimestamp(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}
