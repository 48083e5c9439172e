import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import type { EventSummary } from '../../../contracts/event.ts';
import { RowsTable } from '../../components/rows-table.tsx';
import { StatusCounts } from '../../components/status-counts.tsx';
import { Ago } from '../../components/time.tsx';

const columns = ['Event', 'Id', 'Accepted', 'Deliveries'];

type Props = {
  /** Undefined while loading. */
  events: readonly EventSummary[] | undefined;
  hasMore: boolean;
};

export function EventTable({ events, hasMore }: Props) {
  return (
    <RowsTable
      caption="Events, newest first"
      columns={columns}
      className="event-table"
      rows={events}
      hasMore={hasMore}
    >
      {(event, rowIndex) => <EventRow key={event.id} event={event} rowIndex={rowIndex} />}
    </RowsTable>
  );
}

const EventRow = memo(function EventRow({ event, rowIndex }: { event: EventSummary; rowIndex: number }) {
  return (
    <tr data-row aria-rowindex={rowIndex}>
      <th scope="row">
        <Link to="/events/$id" params={{ id: event.id }} className="row-link">
          {event.event}
        </Link>
        <span className="narrow-line muted small">
          <Ago at={event.created_at} /> · <code>{event.id}</code>
        </span>
      </th>
      <td>
        <code>{event.id}</code>
      </td>
      <td className="numeric">
        <Ago at={event.created_at} />
      </td>
      <td>
        <StatusCounts deliveries={event.deliveries} />
      </td>
    </tr>
  );
});
