import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api } from '../session-api.ts';
import { EmptyState } from '../components/empty-state.tsx';
import { useKeptBack } from '../components/stable-rows.ts';
import { LoadMore } from '../components/load-more.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { Switch } from '../components/switch.tsx';
import { orderOfEvent } from '../delivery-queries.ts';
import { useLiveList } from '../live-list.ts';
import { EventSearch } from './events/event-search.tsx';
import { EventTable } from './events/event-table.tsx';

const route = getRouteApi('/signed-in/events');

/** Everything that was published, newest first. */
export function EventsPage() {
  const { id } = route.useSearch();
  const [isLive, setLive] = useState(true);
  const list = useLiveList({
    queryKey: ['events', 'list'],
    list: (page) => api.listEvents(page),
    orderOf: orderOfEvent,
    isLive,
  });
  const { shown, newCount, showNew } = useKeptBack(list.rows, orderOfEvent, 'events');
  return (
    <>
      <PageHeader
        title="Events"
        subtitle="What happened and was published. An event does not change once it is accepted."
        actions={
          <>
            <Switch label="Live" isOn={isLive} onChange={setLive} />
            <Link to="/events/send" className="button button-primary">
              Send an event
            </Link>
          </>
        }
      />
      <EventSearch key={id} id={id} />
      <Problem error={list.error} />
      {newCount > 0 && (
        <button type="button" className="button button-primary new-rows" onClick={showNew}>
          {newCount} new
        </button>
      )}
      {shown?.length === 0 ? (
        <EmptyState title="No event yet">
          <p>
            Your application publishes one whenever something happens: a document was processed, a dataset
            deleted. Each goes to every webhook that is subscribed to its type. Try it with an example:
          </p>
          <Link to="/events/send" className="button button-primary">
            Send an event
          </Link>
        </EmptyState>
      ) : (
        <>
          <EventTable events={shown} hasMore={list.hasMore} />
          {shown && (
            <LoadMore
              hasMore={list.hasMore}
              isLoading={list.isLoadingMore}
              loadMore={list.loadMore}
              isLast={`${shown.length} in all`}
            />
          )}
        </>
      )}
    </>
  );
}
