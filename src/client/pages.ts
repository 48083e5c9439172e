import type { AttemptErrorCode } from '../contracts/attempt-schema.ts';
import type { DeliveryStatus, WaitFilter } from '../contracts/delivery.ts';

export type Page<Item> = { data: Item[]; next_cursor: string | null };
export type PageQuery = { limit?: number; cursor?: string };

/** `q`: how the id or the name begins. */
export type AccountQuery = PageQuery & { q?: string };

export type WebhookQuery = PageQuery & {
  external_id?: string;
  metadata_key?: string;
  /** Only with `metadata_key`. */
  metadata_value?: string;
};
export type EventQuery = PageQuery & {
  /** An event type. */
  event?: string;
  /** RFC 3339. */
  since?: string;
  until?: string;
  label?: string;
  /** Those with a delivery that ended without being delivered. */
  outcome?: 'undelivered';
};
export type DeliveryQuery = PageQuery & {
  webhook_id?: string;
  event_id?: string;
  /** The last operation that acted on them. */
  operation_id?: string;
  /** An event type. */
  event?: string;
  status?: DeliveryStatus;
  /** Only those that wait because of a limit. */
  deferred?: true;
  /** Only those that wait for those before them in their order, or for their time. */
  waits_for?: WaitFilter;
  /** Only those that have failed and hold up those behind them in their order. */
  blocks_line?: true;
  /** Only those of events with this order key, to webhooks with `ordering: "by_key"`. */
  order_key?: string;
  /** RFC 3339. */
  since?: string;
  until?: string;
  /** `404`, or a class: `5xx`. */
  code?: string;
  /** Error code of the last attempt. */
  error?: AttemptErrorCode | 'no_response';
};

export type AuditQuery = PageQuery & {
  /** An action, or a family: `webhook.*`. */
  action?: string;
  actor?: string;
  target?: string;
  /** RFC 3339. */
  since?: string;
  until?: string;
};

/** Filters of the delivery log, without the status. */
export type DeliveryCountQuery = Omit<DeliveryQuery, 'status' | keyof PageQuery>;

/**
 * Iterates over all items of a list, page by page.
 *
 * @example for await (const delivery of everyItem((page) => client.listDeliveries({ status: 'failed', ...page }))) …
 */
export async function* everyItem<Item>(
  list: (page: { cursor?: string }) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  let page = await list({});
  for (;;) {
    yield* page.data;
    if (page.next_cursor === null) return;
    page = await list({ cursor: page.next_cursor });
  }
}
