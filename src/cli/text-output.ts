import { styleText } from 'node:util';
import type { DeliveryStatus, DeliverySummary } from '../contracts/delivery.ts';
import type { WebhookStats } from '../contracts/webhook.ts';
import type { Page } from '../client/pages.ts';
import { printable } from './printable.ts';
import { table } from './table.ts';

type Format = Parameters<typeof styleText>[0];

/** Colored if the terminal supports it and NO_COLOR is not set. */
function color(format: Format, text: string): string {
  return process.stdout.isTTY && process.stdout.hasColors() ? styleText(format, text) : text;
}

const statusColors: Record<DeliveryStatus, Format> = {
  pending: 'cyan',
  retrying: 'yellow',
  delivered: 'green',
  failed: 'red',
  held: 'magenta',
  canceled: 'gray',
};

export function deliveryLine(delivery: DeliverySummary): string {
  const { created_at, status, event, id, webhook_id, attempt_count } = delivery;
  return [
    created_at,
    color(statusColors[status], status.padEnd(9)),
    printable(lastResponse(delivery)).padEnd(12),
    printable(event).padEnd(26),
    printable(id),
    printable(webhook_id),
    attempt_count > 1 ? `attempt ${attempt_count}` : '',
  ]
    .join('  ')
    .trimEnd();
}

/** A status code, or an error code. */
function lastResponse({ last_status_code, last_error_code }: DeliverySummary): string {
  return String(last_status_code ?? last_error_code ?? '-');
}

export function deliveryTable(deliveries: readonly DeliverySummary[]): string {
  if (deliveries.length === 0) return 'No deliveries.';
  return table(
    deliveries.map((delivery) => ({
      id: delivery.id,
      status: delivery.status,
      response: lastResponse(delivery),
      attempts: delivery.attempt_count,
      event: delivery.event,
      webhook: delivery.webhook_id,
      created: delivery.created_at,
      'next attempt': delivery.next_attempt_at,
    })),
  );
}

/** A page as a table, with the cursor of the next page. */
export const pageText =
  <Item>(toTable: (items: readonly Item[]) => string) =>
  ({ data, next_cursor: cursor }: Page<Item>): string =>
    cursor === null ? toTable(data) : `${toTable(data)}\n\nMore: --cursor ${cursor}`;

/** One name and value per line; undefined values are left out. */
export function fields(values: Record<string, string | number | boolean | null | undefined>): string {
  const shown = Object.entries(values).filter(([, value]) => value !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value ?? '-'))}`).join('\n');
}

export const percent = (rate: number | null): string =>
  rate === null ? '-' : `${(rate * 100).toFixed(1)} %`;

/** @example countsText({ pending: 0, retrying: 83, held: 2 }) // '83 retrying, 2 held' */
export const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ') || '-';

/** @example waitingText({ pending: 24, deferred: 20, scheduled: 0, retrying: 3, held: 0 }) // '24 pending (20 deferred), 3 retrying' */
export function waitingText({ pending, deferred, scheduled, ...others }: WebhookStats['waiting']): string {
  const name = deferred + scheduled > 0 ? `pending (${countsText({ deferred, scheduled })})` : 'pending';
  return countsText({ [name]: pending, ...others });
}

type Counts = Pick<WebhookStats, 'attempts' | 'failed_attempts' | 'delivered' | 'failed'>;

export const countFields = ({ attempts, failed_attempts, delivered, failed }: Counts) => ({
  attempts,
  'failed attempts': failed_attempts,
  delivered,
  failed,
});

/** @example listOf('document.*, dataset.created') // ['document.*', 'dataset.created'] */
export const listOf = (text: string): string[] => text.split(',').map((part) => part.trim());
