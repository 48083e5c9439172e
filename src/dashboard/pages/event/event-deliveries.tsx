import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { EventSummary } from '../../../contracts/event.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { DeliveryBadge } from '../../components/badges.tsx';
import { Section } from '../../components/section.tsx';
import { Table, type Column } from '../../components/table.tsx';
import { Countdown } from '../../components/time.tsx';
import { WebhookLink } from '../../components/webhook-name.tsx';
import { statusText } from '../../delivery-text.ts';
import { undeliveredOf } from '../../log/undelivered.ts';
import { deliveryQuery } from '../../queries.ts';
import { BulkAction } from '../log/bulk-action.tsx';

/** Details are loaded for this many deliveries: each is a request that reads a workflow history. */
const maxDetailed = 20;

type EventDelivery = EventSummary['deliveries'][number];

const columns: Column<EventDelivery>[] = [
  { name: 'Webhook', isRowHeader: true, cell: ({ webhook_id: id }) => <WebhookLink webhookId={id} /> },
  { name: 'Status', cell: ({ status }) => <DeliveryBadge status={status} /> },
  {
    name: 'Details',
    cell: (delivery, index) => <Details delivery={delivery} isDetailed={index < maxDetailed} />,
  },
  {
    name: 'Delivery',
    cell: ({ id }) => (
      <Link to="/log/$id" params={{ id }} className="nowrap">
        View delivery
        <span className="visually-hidden"> ({id})</span>
      </Link>
    ),
  },
];

type Props = {
  event: Pick<EventSummary, 'deliveries'>;
  /** At the end of the heading's line. */
  beside?: ReactNode;
};

export function EventDeliveries({ event: { deliveries }, beside }: Props) {
  return (
    <Section title="Deliveries" className="stack" beside={beside}>
      {deliveries.length === 0 ? (
        <p className="muted">None. No webhook was subscribed to this type when the event was accepted.</p>
      ) : (
        <Table
          caption="Deliveries of this event"
          columns={columns}
          rows={deliveries}
          keyOf={({ id }) => id}
        />
      )}
    </Section>
  );
}

type RetryProps = Pick<Props, 'event'> & { event: { body: string | null }; webhooks: readonly Webhook[] };

/** Retries all deliveries of an event that were not delivered, as an operation. */
export function RetryUndelivered({ event, webhooks }: RetryProps) {
  if (event.deliveries.length === 0) return null;
  const target = undeliveredOf(event, webhooks) ?? { reason: 'Nothing to retry.' };
  return <BulkAction action="retry" label="Retry undelivered" target={target} />;
}

type DetailsProps = { delivery: EventDelivery; isDetailed: boolean };

function Details({ delivery: { id, status }, isDetailed }: DetailsProps) {
  const isPlain = status === 'delivered' || status === 'held';
  const { data } = useQuery({ ...deliveryQuery(id), enabled: isDetailed && !isPlain });
  const next = data?.next_attempt_at ?? null;
  return (
    <span className="small">
      {statusText({ reason: null, next_attempt_at: null, ...data, status }, data?.attempts.at(-1))}
      {next !== null && (
        <>
          {' '}
          Next attempt <Countdown to={next} />.
        </>
      )}
    </span>
  );
}
