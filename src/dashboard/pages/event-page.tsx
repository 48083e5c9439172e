import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { eventTypes } from '../../contracts/event-types.ts';
import { CopyButton } from '../components/copy-button.tsx';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { At } from '../components/time.tsx';
import { eventQuery } from '../delivery-queries.ts';
import { webhooksQuery } from '../queries.ts';
import { EventDeliveries } from './event/event-deliveries.tsx';
import { NotSentTo } from './event/not-sent-to.tsx';
import { Payload } from './event/event-payload.tsx';

const route = getRouteApi('/signed-in/events/$id');

/** One event: its bytes, which webhooks got it, which did not, and why. Live until its deliveries have ended. */
export function EventPage() {
  const { id } = route.useParams();
  const { data: event, error } = useQuery(eventQuery(id));
  // Asked for here, so that nothing moves when the webhooks' names come, and those that it was not sent to.
  const webhooks = useQuery(webhooksQuery);
  // The service's own events nobody else publishes.
  const type = eventTypes.find((each) => each === event?.event);
  return (
    <>
      <PageHeader
        eyebrow={<Link to="/events">Events</Link>}
        title={event?.event ?? 'Event'}
        subtitle={
          <span className="row">
            <code className="break">{id}</code> <CopyButton text={id} />
          </span>
        }
        actions={
          <>
            {type && (
              <Link to="/events/send" search={{ event: type, copy: id }} className="button">
                Send a copy
              </Link>
            )}
          </>
        }
      />
      <div className="stack">
        {isMissing(error) ? <NotFound to="/events" label="Events" /> : <Problem error={error} />}
        {event && !webhooks.isPending && (
          <>
            <section className="card" aria-labelledby="facts">
              <h2 id="facts">What it is</h2>
              <dl className="facts">
                <dt>Happened</dt>
                <dd>
                  <At at={event.timestamp} />
                </dd>
                <dt>Accepted</dt>
                <dd>
                  <At at={event.created_at} />
                </dd>
              </dl>
            </section>
            <EventDeliveries event={event} />
            <NotSentTo event={event} />
            <Payload body={event.body} />
          </>
        )}
        {(!event || webhooks.isPending) && error === null && <div className="card room" aria-busy="true" />}
      </div>
    </>
  );
}
