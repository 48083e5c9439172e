import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import type { Webhook } from '../../contracts/webhook.ts';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { Page, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { Badge, DeliveryBadge } from '../components/badges.tsx';
import { deliveryQuery, eventQuery, webhooksQuery } from '../queries.ts';
import { DeliveryAttempts } from './delivery/delivery-attempts.tsx';
import { DeliveryDetails } from './delivery/delivery-details.tsx';
import { DeliveryActions } from './delivery/delivery-actions.tsx';
import { DeliveryTimeline } from './delivery/delivery-timeline.tsx';

const route = getRouteApi('/signed-in/log/$id');

export function DeliveryPage() {
  const { id } = route.useParams();
  const { data: delivery, error } = useQuery(deliveryQuery(id));
  // Loaded before the page is shown, so that nothing moves when the webhook's name arrives.
  const webhooks = useQuery(webhooksQuery);
  const event = useQuery({ ...eventQuery(delivery?.event_id ?? ''), enabled: delivery !== undefined });
  const blockedReason = delivery && webhooks.data && blockedReasonOf(delivery.webhook_id, webhooks.data);
  return (
    <Page
      eyebrow={<Link to="/log">Delivery log</Link>}
      title={delivery?.event ?? 'Delivery'}
      subtitle={
        <span className="row">
          {delivery && <DeliveryBadge status={delivery.status} />}
          {!delivery && !error && <Badge tone="idle">…</Badge>}
          <code className="break">{id}</code>
        </span>
      }
      actions={
        <>
          {delivery && !webhooks.isPending && (
            <DeliveryActions delivery={delivery} blockedReason={blockedReason} />
          )}
        </>
      }
    >
      {isMissing(error) ? (
        <NotFound to="/log" label="Delivery log" />
      ) : (
        <Problem error={error ?? event.error} />
      )}
      <ScopeNote scope="webhooks:write" action="retry, cancel or reschedule it" />
      {delivery && !webhooks.isPending ? (
        <>
          {blockedReason !== undefined && delivery.status !== 'canceled' && (
            <p className="notice">{blockedReason}</p>
          )}
          <div className="columns">
            <DeliveryDetails delivery={delivery} />
            <DeliveryTimeline delivery={delivery} />
          </div>
          <DeliveryAttempts delivery={delivery} body={event.data?.body} />
        </>
      ) : (
        error === null && <Placeholder />
      )}
    </Page>
  );
}

/** Why nothing can be sent to a webhook, and the remedy. */
function blockedReasonOf(webhookId: string, webhooks: readonly Webhook[]): string | undefined {
  const webhook = webhooks.find((each) => each.webhook_id === webhookId);
  if (!webhook) return 'The webhook was deleted, so nothing can be sent to it.';
  if (webhook.active) return undefined;
  const state = webhook.auto_disabled ? 'disabled automatically' : 'paused';
  return `The webhook is ${state}. Activate it first.`;
}
