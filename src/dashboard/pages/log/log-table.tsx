import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import { RowsTable } from '../../components/rows-table.tsx';
import { DeliveryBadge } from '../../components/badges.tsx';
import { Ago, Countdown } from '../../components/time.tsx';
import { useWebhookName } from '../../components/webhook-name.tsx';
import { durationOf, lastResponse } from '../../delivery-text.ts';

const columns = ['Status', 'Event', 'Webhook', 'Attempts', 'Last response', 'Accepted', 'Duration / next'];

type Props = {
  /** Undefined while loading. */
  deliveries: readonly DeliverySummary[] | undefined;
  isStale: boolean;
  hasMore: boolean;
};

export function LogTable({ deliveries, isStale, hasMore }: Props) {
  const nameOf = useWebhookName();
  return (
    <RowsTable
      caption="Deliveries, newest first"
      columns={columns}
      className="log-table"
      rows={deliveries}
      isStale={isStale}
      hasMore={hasMore}
    >
      {(delivery, rowIndex) => (
        <LogRow
          key={delivery.id}
          delivery={delivery}
          webhook={nameOf(delivery.webhook_id)}
          rowIndex={rowIndex}
        />
      )}
    </RowsTable>
  );
}

type RowProps = { delivery: DeliverySummary; webhook: string; rowIndex: number };

const LogRow = memo(function LogRow({ delivery, webhook, rowIndex }: RowProps) {
  return (
    <tr data-row aria-rowindex={rowIndex}>
      <td>
        <DeliveryBadge status={delivery.status} />
        <span className="narrow-line muted small">
          <Ago at={delivery.created_at} />
        </span>
      </td>
      <th scope="row">
        <Link to="/log/$id" params={{ id: delivery.id }} className="row-link">
          {delivery.event}
        </Link>
        <span className="narrow-line muted small">
          {webhook} · {lastResponse(delivery)}
        </span>
      </th>
      <td title={delivery.webhook_id}>{webhook}</td>
      <td className="numeric">{delivery.attempt_count}</td>
      <td className="numeric">{lastResponse(delivery)}</td>
      <td className="numeric">
        <Ago at={delivery.created_at} />
      </td>
      <td className="numeric">
        <DurationOrNext delivery={delivery} />
      </td>
    </tr>
  );
});

function DurationOrNext({ delivery }: { delivery: DeliverySummary }) {
  if (delivery.ended_at !== null) return durationOf(delivery.created_at, delivery.ended_at);
  if (delivery.next_attempt_at !== null) return <Countdown to={delivery.next_attempt_at} />;
  return delivery.status === 'held' ? 'when active' : 'now';
}
