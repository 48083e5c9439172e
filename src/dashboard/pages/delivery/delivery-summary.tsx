import { Link } from '@tanstack/react-router';
import type { Delivery, DeliveryStatus } from '../../../contracts/delivery.ts';
import { BehindIt } from '../../components/behind-it.tsx';
import { At, Countdown } from '../../components/time.tsx';
import { summaryText } from '../../delivery-summary.ts';

const looks: Record<DeliveryStatus, string> = {
  pending: '',
  retrying: 'notice-warn',
  delivered: 'notice-good',
  failed: 'notice-danger',
  held: '',
  canceled: '',
};

type Props = {
  delivery: Delivery;
  /** Why nothing can be sent to the webhook; undefined if it can. */
  obstacle: string | undefined;
  hasWebhook: boolean;
};

/** The outcome so far and the next attempt, in a line or two. */
export function DeliverySummary({ delivery, obstacle, hasWebhook }: Props) {
  const { next_attempt_at: next, waits_for: waitsFor, status, webhook_id: webhookId } = delivery;
  const { blocks_line: blocks } = delivery;
  return (
    <section className={`notice stack-small ${looks[status]}`} aria-label="Summary">
      <p>
        <strong>{summaryText(delivery)}</strong>
        {next !== null && (
          <>
            {' '}
            Next attempt <Countdown to={next} />{' '}
            <span className="muted">
              (<At at={next} />)
            </span>
            .
          </>
        )}
        {waitsFor?.reason === 'down' && waitsFor.next_probe_at !== null && (
          <>
            {' '}
            Next probe <Countdown to={waitsFor.next_probe_at} />.
          </>
        )}
        {waitsFor?.reason === 'order' && (
          <>
            {' '}
            <Link to="/log/$id" params={{ id: waitsFor.delivery_id }}>
              View the delivery before it
            </Link>
          </>
        )}
      </p>
      {blocks && (
        <p>
          It has held up those behind it in its order since <At at={blocks.since} /> (
          <BehindIt delivery={delivery} />
          ). They begin when it is retried with success, or canceled.
        </p>
      )}
      {obstacle !== undefined && status !== 'canceled' && (
        <p>
          <span>{obstacle}</span>{' '}
          {hasWebhook && (
            <Link to="/webhooks/$id" params={{ id: webhookId }}>
              View webhook
            </Link>
          )}
        </p>
      )}
    </section>
  );
}
