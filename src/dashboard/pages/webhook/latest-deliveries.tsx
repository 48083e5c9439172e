import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import { DeliveryBadge } from '../../components/badges.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { Section } from '../../components/section.tsx';
import { Table, type Column } from '../../components/table.tsx';
import { Ago, Countdown } from '../../components/time.tsx';
import { latestDeliveriesQuery } from '../../queries.ts';

const columns: Column<DeliverySummary>[] = [
  {
    name: 'Event',
    isRowHeader: true,
    cell: ({ id, event }) => (
      <Link to="/log/$id" params={{ id }}>
        {event}
      </Link>
    ),
  },
  { name: 'Status', cell: ({ status }) => <DeliveryBadge status={status} /> },
  {
    name: 'Response',
    className: 'small',
    cell: ({ last_status_code: code, last_error_code: error, reason }) => code ?? error ?? reason ?? '–',
  },
  { name: 'Attempts', className: 'numeric', cell: ({ attempt_count: count }) => count },
  { name: 'Accepted', className: 'nowrap', cell: ({ created_at: at }) => <Ago at={at} /> },
  {
    name: 'Next attempt',
    className: 'nowrap',
    isWideOnly: true,
    cell: ({ next_attempt_at: next }) => (next ? <Countdown to={next} /> : '–'),
  },
];

export function LatestDeliveries({ webhookId }: { webhookId: string }) {
  const { data, error } = useQuery(latestDeliveriesQuery(webhookId));
  const logLink = (
    <Link to="/log" search={{ webhook_id: webhookId }}>
      View all in the delivery log
    </Link>
  );
  return (
    <Section title="Latest deliveries" className="stack-small" beside={logLink}>
      <Problem error={error} />
      {data?.data.length === 0 ? (
        <p className="notice">
          No deliveries yet. Publish an event that this webhook subscribes to:{' '}
          <Link to="/events/send">Send event</Link>. Test events are not listed here.
        </p>
      ) : (
        <Table
          caption="Latest deliveries to this webhook, newest first"
          columns={columns}
          rows={data?.data}
          keyOf={({ id }) => id}
          skeletonRows={3}
        />
      )}
    </Section>
  );
}
