import type { WaitFilter } from '../contracts/delivery.ts';
import type { ActionFailure, Operation, OperationAction, OperationStatus } from '../contracts/operation.ts';
import { lastResponse } from './delivery-text.ts';

export const actionNames: Record<OperationAction, string> = {
  recover: 'Recovery',
  retry: 'Retry',
  cancel: 'Cancel',
  reschedule: 'Reschedule',
  resend: 'Resend',
};

/** The participle of an action, for deliveries that count as done. */
export const doneWords: Record<OperationAction, string> = {
  recover: 'resent',
  retry: 'retried',
  cancel: 'canceled',
  reschedule: 'rescheduled',
  resend: 'resent',
};

export const toneOfOperation = {
  running: 'busy',
  paused: 'warn',
  completed: 'good',
  canceled: 'idle',
} as const satisfies Record<OperationStatus, string>;

export const failureTexts: Record<ActionFailure, string> = {
  not_found: 'were removed before the operation reached them',
  delivered: 'were already delivered',
  failed: 'had already failed',
  canceled: 'were already canceled',
  held: 'were held: their webhook is not active',
  waits_in_order: 'wait for another delivery of their order',
  webhook_not_active: 'belong to a webhook that is not active',
  webhook_deleted: 'belong to a deleted webhook',
  payload_removed: 'no longer have their data: its retention period has ended, or was expunged',
  expired: 'have expired, or would have by then',
  changed: 'changed in the meantime',
};

/** Of filters by what a delivery waits for. */
export const waitNames: Record<WaitFilter, string> = {
  order: 'waiting in their order',
  scheduled: 'scheduled',
};

const kinds = { failed: 'failed deliveries', missed: 'missed events' } as const;

/**
 * Which deliveries an operation is about, without its webhook and its times.
 *
 * @example scopeText({ action: 'retry', only: null, filter: { status: 'failed', code: '5xx' } }) // 'failed deliveries, response 5xx'
 */
export function scopeText({ action, only, filter }: Pick<Operation, 'action' | 'only' | 'filter'>): string {
  const { ids, status, event, code, error, deferred = false } = filter;
  const { event_id: eventId, operation_id: operationId, order_key: orderKey } = filter;
  const { waits_for: waitsFor, blocks_line: blocksLine = false } = filter;
  if (action === 'recover') return only === null ? 'failed deliveries and missed events' : kinds[only];
  const parts = [
    ids === undefined
      ? `${status ?? 'all'} deliveries`
      : ids.length === 1
        ? '1 selected delivery'
        : `${ids.length} selected deliveries`,
    ...(ids !== undefined && status !== undefined ? [status] : []),
    ...(deferred ? ['deferred'] : []),
    ...(waitsFor === undefined ? [] : [waitNames[waitsFor]]),
    ...(blocksLine ? ['blocking their order'] : []),
    ...(orderKey === undefined ? [] : [`order key ${orderKey}`]),
    ...(eventId === undefined ? [] : [`of event ${eventId}`]),
    ...(operationId === undefined ? [] : [`of operation ${operationId}`]),
    ...(event === undefined ? [] : [event]),
    ...(code === undefined ? [] : [`response ${code}`]),
    ...(error === undefined
      ? []
      : [
          error === 'no_response'
            ? 'no response'
            : lastResponse({ last_status_code: null, last_error_code: error }),
        ]),
  ];
  return parts.join(', ');
}
