import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import type { AcceptedEvent } from '../../../contracts/event.ts';
import { eventQuery } from '../../delivery-queries.ts';
import { EventDeliveries } from '../event/event-deliveries.tsx';

/** The result of sending an event, with its deliveries. */
export function SentEvent({ accepted }: { accepted: AcceptedEvent }) {
  const { data: event } = useQuery(eventQuery(accepted.id));
  const notice = useRef<HTMLOutputElement>(null);
  useEffect(() => {
    // Not returned: newer browsers return a promise, which React would take for a clean-up function.
    notice.current?.scrollIntoView({ block: 'nearest' });
  }, []);
  return (
    <>
      <output className="notice notice-good" ref={notice}>
        {accepted.duplicate
          ? 'Duplicate: an event with this id and content was already accepted, so nothing is sent. '
          : 'Accepted: '}
        <Link to="/events/$id" params={{ id: accepted.id }}>
          {accepted.id}
        </Link>
      </output>
      <EventDeliveries event={event ?? accepted} />
    </>
  );
}
