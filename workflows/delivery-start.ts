import { defineSearchAttributeKey } from '@temporalio/common';
import { taskQueue, type DeliveryFacts } from './contract.ts';

export const searchKeys = {
  account: defineSearchAttributeKey('FltrAccount', 'KEYWORD'),
  eventType: defineSearchAttributeKey('FltrEventType', 'KEYWORD'),
  delivery: defineSearchAttributeKey('FltrDelivery', 'KEYWORD_LIST'),
  event: defineSearchAttributeKey('FltrEvent', 'KEYWORD_LIST'),
  webhook: defineSearchAttributeKey('FltrWebhook', 'KEYWORD_LIST'),
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
      { key: searchKeys.event, value: [delivery.eventId] },
      { key: searchKeys.webhook, value: [delivery.webhookId] },
    ],
  };
}

/** How a group's workflow is started. It is found by each of its deliveries, events and webhooks. */
export function groupStart(workflowId: string, deliveries: readonly DeliveryFacts[]) {
  const unique = (values: string[]) => [...new Set(values)];
  const accounts = unique(deliveries.map(({ accountId }) => accountId));
  const [account] = accounts;
  return {
    taskQueue,
    workflowId,
    staticSummary: `first attempts of ${deliveries.length} deliveries`,
    typedSearchAttributes: [
      // One value only: where they differ, there is none.
      ...(account !== undefined && accounts.length === 1
        ? [{ key: searchKeys.account, value: account }]
        : []),
      { key: searchKeys.delivery, value: deliveries.map(({ id }) => id) },
      { key: searchKeys.event, value: unique(deliveries.map(({ eventId }) => eventId)) },
      { key: searchKeys.webhook, value: unique(deliveries.map(({ webhookId }) => webhookId)) },
    ],
  };
}
