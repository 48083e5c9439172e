import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { EventType } from '../../../contracts/event-types.ts';
import { isSubscribed } from '../../event-filters.ts';
import { webhooksQuery } from '../../queries.ts';

/** How many webhooks an event of the type would be sent to. */
export function Subscribers({ type }: { type: EventType }) {
  const { data: webhooks } = useQuery(webhooksQuery);
  const subscribed = webhooks?.filter(({ events }) => isSubscribed(events, type));
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
      {inactive > 0 && ` Held for ${inactive} of them: not active.`}&nbsp;
    </p>
  );
}
