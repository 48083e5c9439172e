import { defineSearchAttributeKey } from '@temporalio/common';
import { taskQueue, type DeliveryFacts } from './contract.ts';

export const searchKeys = {
  account: defineSearchAttributeKey('FltrAccount', 'KEYWORD'),
  eventType: defineSearchAttributeKey('FltrEventType', 'KEYWORD'),
  delivery: defineSearchAttributeKey('FltrDelivery', 'KEYWORD_LIST'),
  event: defineSearchAttributeKey('FltrEvent', 'KEYWORD'),
  webhook: defineSearchAttributeKey('FltrWebhook', 'KEYWORD'),
};

/** How a delivery's own workflow is started, by the service or by a group's workflow: its id is the delivery's. */
export function deliveryStart(delivery: DeliveryFacts) {
  return {
    taskQueue,
    workflowId: delivery.id,
    staticSummary: `${delivery.eventType} to ${delivery.webhookId}`,
    typedSearchAttributes: [
      { key: searchKeys.account, value: delivery.accountId },
      { key: searchKeys.eventType, value: delivery.eventType },
      { key: searchKeys.delivery, value: [delivery.id] },
      { key: searchKeys.event, value: delivery.eventId },
      { key: searchKeys.webhook, value: delivery.webhookId },
    ],
  };
}

/**
 * How a group's workflow is started. It is found by the id of each of its deliveries, and by nothing else: Temporal would
 * write lists of their events and webhooks twice.
 */
export function groupStart(workflowId: string, deliveryIds: string[]) {
  return {
    taskQueue,
    workflowId,
    staticSummary: `first attempts of ${deliveryIds.length} deliveries`,
    typedSearchAttributes: [{ key: searchKeys.delivery, value: deliveryIds }],
  };
}
