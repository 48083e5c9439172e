import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { EventType } from '../../../contracts/event-types.ts';
import { isSubscribed } from '../../event-filters.ts';
import { webhooksQuery } from '../../queries.ts';

/** Whom an event of a type would go to. */
export function Subscribers({ type }: { type: EventType }) {
  const { data: webhooks } = useQuery(webhooksQuery);
  const subscribed = webhooks?.filter(({ events }) => isSubscribed(events, type));
  const inactive = subscribed?.filter(({ active }) => !active).length ?? 0;
  if (subscribed?.length === 0)
    return (
      <p className="hint">
        No webhook is subscribed to it: it would be accepted, and sent to nobody.{' '}
        <Link to="/webhooks/new">Create webhook</Link>
      </p>
    );
  return (
    <p className="hint">
      {subscribed &&
        `It goes to ${subscribed.length === 1 ? 'one webhook' : `${subscribed.length} webhooks`}.`}
      {inactive > 0 && ` For ${inactive} of them it is held, for they are not active.`}&nbsp;
    </p>
  );
}
