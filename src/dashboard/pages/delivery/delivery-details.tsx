import { Link } from '@tanstack/react-router';
import type { Delivery } from '../../../contracts/delivery.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { At, Countdown } from '../../components/time.tsx';
import { WebhookLink } from '../../components/webhook-name.tsx';
import { durationOf, standInWords } from '../../delivery-text.ts';

export function DeliveryFacts({ delivery }: { delivery: Delivery }) {
  const { next_attempt_at: next, ended_at: ended } = delivery;
  return (
    <section className="card" aria-labelledby="facts">
      <h2 id="facts">What it is</h2>
      <dl className="facts">
        <dt>State</dt>
        <dd>{standInWords(delivery, delivery.attempts.at(-1))}</dd>
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
        {id.startsWith('grp_') && <span className="muted"> (shared with others for its first attempt)</span>}
      </>
    );
  return (
    <>
      <code>{id}</code> <span className="muted">{runId === null ? whyNoRun(status) : noWebUi}</span>
    </>
  );
}

const noWebUi =
  'No link: the address of the Temporal Web UI is not known. Whoever runs the service sets TEMPORAL_UI_URL.';

function whyNoRun(status: Delivery['status']): string {
  if (status === 'held') return 'None runs while it is held.';
  return 'No link: none runs yet, or it ended before one was started.';
}
