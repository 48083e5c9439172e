import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import type { EventSummary } from '../../../contracts/event.ts';
import { SkeletonRows } from '../../components/skeleton-rows.tsx';
import { StatusCounts } from '../../components/status-counts.tsx';
import { Ago } from '../../components/time.tsx';
import { WindowedBody } from '../../components/windowed-body.tsx';

const columns = ['Event', 'Id', 'Accepted', 'Deliveries'];

type Props = {
  /** Undefined: not there yet. */
  events: readonly EventSummary[] | undefined;
  hasMore: boolean;
};

export function EventTable({ events, hasMore }: Props) {
  return (
    <div className="table-wrap">
      <table
        className="rows-table event-table"
        aria-busy={events === undefined}
        aria-rowcount={events && !hasMore ? events.length + 1 : -1}
      >
        <caption className="visually-hidden">Events, newest first</caption>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        {events ? (
          <WindowedBody rows={events}>
            {(event, rowIndex) => <EventRow key={event.id} event={event} rowIndex={rowIndex} />}
          </WindowedBody>
        ) : (
          <tbody>
            <SkeletonRows rows={12} columns={columns.length} />
          </tbody>
        )}
      </table>
    </div>
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
