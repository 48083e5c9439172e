import { useQuery } from '@tanstack/react-query';
import { obstacleOf } from '../../delivery-summary.ts';
import { deliveryQuery, eventQuery, webhooksQuery } from '../../queries.ts';

/** A delivery with its event and its webhook, as far as they are known. Undefined until its webhook is known, so that nothing moves then. */
export function useDelivery(id: string) {
  const { data, error } = useQuery(deliveryQuery(id));
  const webhooks = useQuery(webhooksQuery);
  const event = useQuery({ ...eventQuery(data?.event_id ?? ''), enabled: data !== undefined });
  const webhook = webhooks.data?.find(({ webhook_id: webhookId }) => webhookId === data?.webhook_id);
  const body = event.data?.body;
  return {
    delivery: webhooks.isPending ? undefined : data,
    /** The event's: undefined while loading, null once it was removed. */
    body,
    obstacle: webhooks.data && obstacleOf(webhook, body),
    hasWebhook: webhook !== undefined,
    error: error ?? event.error,
  };
}
