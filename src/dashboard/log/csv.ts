import type { DeliverySummary } from '../../contracts/delivery.ts';

/** The columns of an export, in order. */
const columns = [
  'id',
  'event_id',
  'event',
  'webhook_id',
  'webhook_url',
  'status',
  'reason',
  'created_at',
  'next_attempt_at',
  'ended_at',
  'attempt_count',
  'last_status_code',
  'last_error_code',
] as const satisfies readonly (keyof DeliverySummary | 'webhook_url')[];

export const csvHead = `${columns.join(',')}\r\n`;

/**
 * A line of RFC 4180.
 *
 * @param urlOf the URL of a webhook; undefined if it was deleted
 */
export function csvLine(row: DeliverySummary, urlOf: (webhookId: string) => string | undefined): string {
  const values = columns.map((name) => (name === 'webhook_url' ? urlOf(row.webhook_id) : row[name]));
  return `${values.map((value) => csvCell(value ?? '')).join(',')}\r\n`;
}

/**
 * Quoted where it has to be. A text that a spreadsheet would run as a formula gets an apostrophe in front.
 *
 * @example csvCell('=HYPERLINK("https://…")') // `"'=HYPERLINK(""https://…"")"`
 */
export function csvCell(value: string | number): string {
  const text = typeof value === 'string' && /^\s*[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
