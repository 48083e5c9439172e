import { getRouteApi, Link } from '@tanstack/react-router';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { Page, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { Badge, DeliveryBadge } from '../components/badges.tsx';
import { DeliveryAttempts } from './delivery/delivery-attempts.tsx';
import { DeliveryDetails } from './delivery/delivery-details.tsx';
import { DeliveryActions } from './delivery/delivery-actions.tsx';
import { DeliverySummary } from './delivery/delivery-summary.tsx';
import { DeliveryTimeline } from './delivery/delivery-timeline.tsx';
import { useDelivery } from './delivery/use-delivery.ts';

const route = getRouteApi('/signed-in/log/$id');

export function DeliveryPage() {
  const { id } = route.useParams();
  const { delivery, body, obstacle, hasWebhook, error } = useDelivery(id);
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
      actions={<>{delivery && <DeliveryActions delivery={delivery} obstacle={obstacle} />}</>}
    >
      {isMissing(error) ? (
        <NotFound what="Delivery" to="/log" label="Back to the delivery log" />
      ) : (
        <Problem error={error} />
      )}
      {delivery ? (
        <>
          <ScopeNote scope="webhooks:write" action="retry, cancel or reschedule it" />
          <DeliverySummary delivery={delivery} obstacle={obstacle} hasWebhook={hasWebhook} />
          <div className="columns">
            <DeliveryDetails delivery={delivery} hasBody={body !== null} />
            <DeliveryTimeline delivery={delivery} />
          </div>
          <DeliveryAttempts delivery={delivery} body={body} hasWebhook={hasWebhook} />
        </>
      ) : (
        error === null && <Placeholder />
      )}
    </Page>
  );
}
