import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import type { Webhook } from '../../contracts/webhook.ts';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { Badge, DeliveryBadge } from '../components/badges.tsx';
import { deliveryQuery, eventQuery } from '../delivery-queries.ts';
import { webhooksQuery } from '../queries.ts';
import { Attempts } from './delivery/delivery-attempts.tsx';
import { DeliveryFacts } from './delivery/delivery-details.tsx';
import { Steer } from './delivery/delivery-actions.tsx';
import { Timeline } from './delivery/delivery-timeline.tsx';

const route = getRouteApi('/signed-in/log/$id');

/** One event on its way to one webhook; live until it has ended. */
export function DeliveryPage() {
  const { id } = route.useParams();
  const { data: delivery, error } = useQuery(deliveryQuery(id));
  // Asked for here, so that nothing moves when the webhook's name comes.
  const webhooks = useQuery(webhooksQuery);
  const event = useQuery({ ...eventQuery(delivery?.event_id ?? ''), enabled: delivery !== undefined });
  const obstacle = delivery && webhooks.data && obstacleOf(delivery.webhook_id, webhooks.data);
  return (
    <>
      <PageHeader
        eyebrow={<Link to="/log">Delivery log</Link>}
        title={delivery?.event ?? 'Delivery'}
        subtitle={
          <span className="row">
            {delivery && <DeliveryBadge status={delivery.status} />}
            {!delivery && !error && <Badge tone="idle">…</Badge>}
            <code className="break">{id}</code>
          </span>
        }
        actions={<>{delivery && !webhooks.isPending && <Steer delivery={delivery} obstacle={obstacle} />}</>}
      />
      <div className="stack">
        {isMissing(error) ? (
          <NotFound to="/log" label="Delivery log" />
        ) : (
          <Problem error={error ?? event.error} />
        )}
        <ScopeNote scope="webhooks:write" deed="retry, cancel or reschedule it" />
        {delivery && !webhooks.isPending ? (
          <>
            {obstacle !== undefined && delivery.status !== 'canceled' && <p className="notice">{obstacle}</p>}
            <div className="columns">
              <DeliveryFacts delivery={delivery} />
              <Timeline delivery={delivery} />
            </div>
            <Attempts delivery={delivery} body={event.data?.body} />
          </>
        ) : (
          error === null && <div className="card room" aria-busy="true" />
        )}
      </div>
    </>
  );
}

/** Why nothing can be sent to a webhook, and what to do about it. */
function obstacleOf(webhookId: string, webhooks: readonly Webhook[]): string | undefined {
  const webhook = webhooks.find((each) => each.webhook_id === webhookId);
  if (!webhook) return 'Its webhook was deleted: nothing can be sent to it.';
  if (webhook.active) return undefined;
  const state = webhook.auto_disabled ? 'disabled automatically' : 'paused';
  return `Its webhook is ${state}: activate the webhook first.`;
}
