import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import type { AcceptedEvent } from '../../../contracts/event.ts';
import { isSubscribed } from '../../event-filters.ts';
import { eventQuery, webhooksQuery } from '../../queries.ts';
import { EventDeliveries } from '../event/event-deliveries.tsx';

/** How many webhooks an event of the type would be sent to. */
export function Subscribers({ type }: { type: string }) {
  const { data: webhooks } = useQuery(webhooksQuery);
  const subscribed = webhooks?.filter(({ events }) => isSubscribed(events, type));
  const filtered = subscribed?.filter(({ filter }) => filter !== null).length ?? 0;
  const inactive = subscribed?.filter(({ active }) => !active).length ?? 0;
  if (subscribed?.length === 0)
    return (
      <p className="hint">
        No webhook is subscribed to this type. The event would be accepted but not sent.{' '}
        <Link to="/webhooks/new">Create webhook</Link>
      </p>
    );
  return (
    <p className="hint">
      {subscribed &&
        `Will be sent to ${subscribed.length === 1 ? '1 webhook' : `${subscribed.length} webhooks`}.`}
      {filtered > 0 &&
        ` ${filtered === 1 ? 'One has' : `${filtered} have`} a filter, which may exclude the event.`}
      {inactive > 0 && ` Held for ${inactive} of them: not active.`}&nbsp;
    </p>
  );
}

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
