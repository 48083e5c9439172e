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
import { EventPayload } from './event/event-payload.tsx';

const route = getRouteApi('/signed-in/events/$id');

export function EventPage() {
  const { id } = route.useParams();
  const { data: event, error } = useQuery(eventQuery(id));
  // Loaded before the page is shown, so that nothing moves when the webhooks' names arrive.
  const webhooks = useQuery(webhooksQuery);
  // Operational events cannot be published.
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
            <section className="card" aria-labelledby="details">
              <h2 id="details">Details</h2>
              <dl className="facts">
                <dt>Timestamp</dt>
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
            <EventPayload body={event.body} />
          </>
        )}
        {(!event || webhooks.isPending) && error === null && (
          <div className="card placeholder" aria-busy="true" />
        )}
      </div>
    </>
  );
}
