import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import type { AcceptedEvent } from '../../../contracts/event.ts';
import { eventQuery } from '../../delivery-queries.ts';
import { EventDeliveries } from '../event/event-deliveries.tsx';

/** What became of what was just sent, live. */
export function SentEvent({ accepted }: { accepted: AcceptedEvent }) {
  const { data: event } = useQuery(eventQuery(accepted.id));
  const notice = useRef<HTMLOutputElement>(null);
  useEffect(() => {
    // Its answer is a promise in newer browsers, which React would take for a clean-up.
    notice.current?.scrollIntoView({ block: 'nearest' });
  }, []);
  return (
    <>
      <output className="notice notice-good" ref={notice}>
        {accepted.duplicate
          ? 'This id was accepted before with the same content, so nothing is sent again: '
          : 'Accepted: '}
        <Link to="/events/$id" params={{ id: accepted.id }}>
          {accepted.id}
        </Link>
      </output>
      <EventDeliveries event={event ?? accepted} />
    </>
  );
}
