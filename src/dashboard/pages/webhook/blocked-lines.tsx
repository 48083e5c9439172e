import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { Section } from '../../components/section.tsx';
import { Table, type Column } from '../../components/table.tsx';
import { Ago } from '../../components/time.tsx';
import { BehindIt } from '../../components/behind-it.tsx';
import { lastResponse } from '../../delivery-text.ts';
import { obstacleOf } from '../../delivery-summary.ts';
import { blockingDeliveriesQuery } from '../../queries.ts';
import { DeliveryActions } from '../delivery/delivery-actions.tsx';

/** The failed deliveries that hold up those behind them, with what ends that. Nothing while there are none. */
export function BlockedLines({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, on_failure: onFailure } = webhook;
  const { data } = useQuery({ ...blockingDeliveriesQuery(id), enabled: onFailure === 'block' });
  if (onFailure !== 'block' || !data || data.data.length === 0) return null;
  const logLink = (
    <Link to="/log" search={{ webhook_id: id, blocks_line: true }}>
      View all in the delivery log
    </Link>
  );
  return (
    <Section title="Blocked in order" className="stack-small" beside={logLink}>
      <p className="notice notice-warn">
        <strong>Failed deliveries hold up those behind them in their order.</strong> Correct the receiver and
        retry them, or cancel them: then the next ones begin.
      </p>
      <Table
        caption="Deliveries that hold up others, newest first"
        columns={columnsOf(webhook)}
        rows={data.data}
        keyOf={({ id: delivery }) => delivery}
      />
    </Section>
  );
}

const columnsOf = (webhook: Webhook): Column<DeliverySummary>[] => [
  {
    name: 'Order key',
    isRowHeader: true,
    cell: ({ order_key: key }) => (key === null ? 'all events' : <code className="break">{key}</code>),
  },
  {
    name: 'Failed delivery',
    cell: (delivery) => (
      <>
        <Link to="/log/$id" params={{ id: delivery.id }}>
          {delivery.event}
        </Link>{' '}
        <span className="muted small">{lastResponse(delivery)}</span>
      </>
    ),
  },
  {
    name: 'Since',
    className: 'nowrap',
    isWideOnly: true,
    cell: ({ blocks_line: blocks }) => blocks && <Ago at={blocks.since} />,
  },
  {
    name: 'Behind it',
    cell: (delivery) => <BehindIt delivery={delivery} />,
  },
  {
    name: 'Actions',
    isNameHidden: true,
    cell: (delivery) => (
      <div className="actions">
        <DeliveryActions delivery={delivery} obstacle={obstacleOf(webhook, undefined)} />
      </div>
    ),
  },
];
