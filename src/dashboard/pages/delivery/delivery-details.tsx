import { Link } from '@tanstack/react-router';
import type { Delivery } from '../../../contracts/delivery.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { At, Countdown } from '../../components/time.tsx';
import { WebhookLink } from '../../components/webhook-name.tsx';
import { durationOf, statusText } from '../../delivery-text.ts';

export function DeliveryDetails({ delivery }: { delivery: Delivery }) {
  const { next_attempt_at: next, ended_at: ended } = delivery;
  return (
    <section className="card" aria-labelledby="details">
      <h2 id="details">Details</h2>
      <dl className="facts">
        <dt>State</dt>
        <dd>{statusText(delivery, delivery.attempts.at(-1))}</dd>
        {next !== null && (
          <>
            <dt>Next attempt</dt>
            <dd>
              <Countdown to={next} />{' '}
              <span className="muted">
                (<At at={next} />)
              </span>
            </dd>
          </>
        )}
        <dt>Webhook</dt>
        <dd>
          <WebhookLink webhookId={delivery.webhook_id} />
        </dd>
        <dt>Event</dt>
        <dd>
          <Link to="/events/$id" params={{ id: delivery.event_id }}>
            {delivery.event_id}
          </Link>
        </dd>
        <dt>Accepted</dt>
        <dd>
          <At at={delivery.created_at} />
        </dd>
        {ended !== null && (
          <>
            <dt>Ended</dt>
            <dd>
              <At at={ended} /> <span className="muted">after {durationOf(delivery.created_at, ended)}</span>
            </dd>
          </>
        )}
        <dt>Workflow</dt>
        <dd>
          <WorkflowLink delivery={delivery} />
        </dd>
        <dt>Id</dt>
        <dd className="row">
          <code>{delivery.id}</code> <CopyButton text={delivery.id} />
        </dd>
      </dl>
    </section>
  );
}

function WorkflowLink({ delivery: { status, workflow } }: { delivery: Delivery }) {
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
  return (
    <>
      <code>{id}</code> <span className="muted">{runId === null ? noRunText(status) : noWebUiText}</span>
    </>
  );
}

const noWebUiText = 'No link: TEMPORAL_UI_URL is not set.';

function noRunText(status: Delivery['status']): string {
  if (status === 'held') return 'No workflow runs while the delivery is held.';
  return 'No link: no workflow was started.';
}
