import { useQuery } from '@tanstack/react-query';
import type { EventSummary } from '../../../contracts/event.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { WebhookLink } from '../../components/webhook-name.tsx';
import { isSubscribed } from '../../event-filters.ts';
import { webhooksQuery } from '../../queries.ts';

/** The account's other webhooks, and why the event did not go to them. */
export function NotSentTo({ event }: { event: EventSummary }) {
  const { data: webhooks = [] } = useQuery(webhooksQuery);
  const others = webhooks.filter(
    ({ webhook_id: id }) => !event.deliveries.some((delivery) => delivery.webhook_id === id),
  );
  if (others.length === 0) return null;
  return (
    <details className="card">
      <summary>
        {others.length === 1 ? 'One webhook' : `${others.length} webhooks`} it was not sent to, and why
      </summary>
      <ul className="plain-list">
        {others.map((webhook) => (
          <li key={webhook.webhook_id}>
            <WebhookLink webhookId={webhook.webhook_id} />
            <span className="muted small">{whyNot(webhook, event)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

function whyNot({ created_at: createdAt, events }: Webhook, event: EventSummary): string {
  const isNow = isSubscribed(events, event.event);
  if (createdAt > event.created_at)
    return isNow
      ? 'Created later. Recover on its page sends it what it missed.'
      : 'Created later, and not subscribed to this type.';
  return isNow
    ? 'Was not subscribed to this type then; it is now. Recover on its page sends it what it missed.'
    : `Not subscribed to this type: it gets ${events.join(', ')}.`;
}
