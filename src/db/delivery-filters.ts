import type { AttemptErrorCode } from '../contracts/attempt-schema.ts';
import type { DeliveryStatus, WaitFilter } from '../contracts/delivery.ts';
import { idFloor } from '../domain/ids.ts';
import { isQueued } from './read-queue.ts';

export type DeliveryConditions = {
  webhookId?: string | undefined;
  eventId?: string | undefined;
  /** The last operation that acted on it. */
  operationId?: string | undefined;
  eventType?: string | undefined;
  status?: DeliveryStatus | undefined;
  /** Only those that wait because of a limit. */
  isDeferred?: boolean | undefined;
  /** Only those that wait for the deliveries before them in their line, or for their time. */
  waitsFor?: WaitFilter | undefined;
  /** Only those that have failed and block their line. */
  blocksLine?: boolean | undefined;
  /** Only those in a line with this key. */
  orderKey?: string | undefined;
  since?: Date | undefined;
  until?: Date | undefined;
  /** The last response's status code, as a range: 404 is [404, 404], 5xx is [500, 599]. */
  code?: [number, number] | undefined;
  /** The last attempt's error code is one of these. */
  errors?: readonly AttemptErrorCode[] | undefined;
};
export type DeliveryFilter = DeliveryConditions & { before: string | null; limit: number };

/** Adds a value to a statement, and returns its parameter. */
export type Add = (value: unknown) => string;

/** Collects the values of a statement; `add` returns the parameter of a value. */
export function collect(): { values: unknown[]; add: Add } {
  const values: unknown[] = [];
  return { values, add: (value) => `$${values.push(value)}` };
}

/** From `from` (inclusive) to `to` (exclusive); without bounds, all ids. */
export function idRange({
  since,
  until,
  before = null,
}: Pick<DeliveryConditions, 'since' | 'until'> & { before?: string | null }): { from: string; to: string } {
  const ends = [before ?? 'dlv_z', until === undefined ? 'dlv_z' : idFloor('dlv', until)];
  return { from: since === undefined ? 'dlv_' : idFloor('dlv', since), to: ends.toSorted()[0] ?? '' };
}

/** Without an attempt, there is neither a code nor an error. */
export const mayBeUnattempted = ({ code, errors }: DeliveryConditions): boolean =>
  code === undefined && errors === undefined;

export function scopeOf({ webhookId }: DeliveryConditions, account: string, add: Add) {
  return webhookId === undefined
    ? (['account_id', account] as const)
    : (['webhook_id', add(webhookId)] as const);
}

/** The conditions of indexes. */
export const waitConditions: Record<WaitFilter, string> = {
  order: `d.status = 'pending' and d.start_after = 'line'`,
  scheduled: `d.status = 'pending' and d.start_after = 'deliver_at'`,
};

/** Whether a delivery has failed and blocks its line. Not with `exists`: that could be planned as a read of all lines. */
export const isBlocking = `(d.status = 'failed' and d.line_position is not null and d.id = (
  select l.head_id from delivery_lines l
  where l.webhook_id = d.webhook_id and l.order_key = d.order_key and l.blocked_at is not null))`;

/** A row of deliveries, or a kind, for the conditions of a filter. */
type Columns = { table: 'd' | 'k'; code: string; error: string };
const ofRow: Columns = { table: 'd', code: 'd.last_status_code::text', error: 'd.last_error_code' };
const ofKind: Columns = { table: 'k', code: 'k.result', error: `ltrim(k.result, '0123456789')` };

/** The conditions of a filter on the row `d`, without those on its webhook, event, operation and id. */
export function rowConditions(filter: DeliveryConditions, add: Add): string[] {
  return [...conditions(filter, add, ofRow), ...waitingConditions(filter, add)];
}

/** The conditions of a filter by limits and lines on the row `d`. */
export function waitingConditions(
  {
    isDeferred = false,
    waitsFor,
    blocksLine = false,
    orderKey,
  }: Pick<DeliveryConditions, 'isDeferred' | 'waitsFor' | 'blocksLine' | 'orderKey'>,
  add: Add,
): string[] {
  return [
    ...(isDeferred ? [isQueued] : []),
    ...(waitsFor === undefined ? [] : [waitConditions[waitsFor]]),
    ...(blocksLine ? [isBlocking] : []),
    ...(orderKey === undefined ? [] : [`d.order_key = ${add(orderKey)}`]),
  ];
}

/** The conditions of a filter by state, event type, code and error on the kind `k`. */
export const kindConditions = (filter: DeliveryConditions, add: Add): string[] =>
  conditions(filter, add, ofKind);

function conditions(
  { eventType, status, code, errors }: DeliveryConditions,
  add: Add,
  { table, code: codeColumn, error }: Columns,
): string[] {
  return [
    ...(status === undefined ? [] : [`${table}.status = ${add(status)}`]),
    ...(eventType === undefined ? [] : [`${table}.event_type = ${add(eventType)}`]),
    // As texts, in whose order `404client_error` stands between `404` and `405`.
    ...(code === undefined
      ? []
      : [
          `${codeColumn} collate "C" >= ${add(String(code[0]))}`,
          `${codeColumn} collate "C" < ${add(String(code[1] + 1))}`,
        ]),
    ...(errors === undefined ? [] : [`${error} = any(${add(errors)})`]),
  ];
}
