import { Link } from '@tanstack/react-router';
import type { Delivery } from '../../../contracts/delivery.ts';
import { CopyButton } from '../../components/button.tsx';
import { ExpungeEvent } from '../../components/expunge-event.tsx';
import { Facts, Section } from '../../components/section.tsx';
import { At } from '../../components/time.tsx';
import { WebhookLink } from '../../components/webhook-name.tsx';
import { durationOf } from '../../delivery-text.ts';
import { isPortal } from '../../portal.ts';

type Props = {
  delivery: Delivery;
  /** Its event's; true while that is not known yet. */
  hasBody: boolean;
};

export function DeliveryDetails({ delivery, hasBody }: Props) {
  const { ended_at: ended } = delivery;
  return (
    <Section title="Details" beside={hasBody ? <ExpungeEvent id={delivery.event_id} /> : undefined}>
      <Facts
        facts={{
          Webhook: <WebhookLink webhookId={delivery.webhook_id} />,
          Event: (
            <Link to="/events/$id" params={{ id: delivery.event_id }}>
              {delivery.event_id}
            </Link>
          ),
          'Order key': delivery.order_key,
          Accepted: <At at={delivery.created_at} />,
          Expires: delivery.expires_at && <At at={delivery.expires_at} />,
          Ended: ended && (
            <>
              <At at={ended} /> <span className="muted">after {durationOf(delivery.created_at, ended)}</span>
            </>
          ),
          Workflow: isPortal ? null : <WorkflowLink delivery={delivery} />,
          Id: (
            <span className="row">
              <code>{delivery.id}</code> <CopyButton text={delivery.id} />
            </span>
          ),
        }}
      />
    </Section>
  );
}

function WorkflowLink({ delivery: { status, workflow, waits_for: waitsFor } }: { delivery: Delivery }) {
  const { id, run_id: runId, url } = workflow;
  if (url !== null)
    return (
      <>
        <a href={url} target="_blank" rel="noreferrer">
          Open in the Temporal Web UI<span className="visually-hidden"> (new tab)</span>
        </a>
        {id.startsWith('grp_') && <span className="muted"> (a group, for the first attempt)</span>}
      </>
    );
  const reason =
    runId !== null
      ? 'No link: TEMPORAL_UI_URL is not set.'
      : status === 'held'
        ? 'No workflow runs while the delivery is held.'
        : waitsFor?.reason === 'down'
          ? 'No workflow runs while the webhook is down.'
          : 'No link: no workflow was started.';
  return (
    <>
      <code>{id}</code> <span className="muted">{reason}</span>
    </>
  );
}
