import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api } from '../session-api.ts';
import { EmptyState } from '../components/empty-state.tsx';
import { useStableRows } from '../components/stable-rows.ts';
import { LoadMore } from '../components/load-more.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { Switch } from '../components/switch.tsx';
import { orderOfEvent } from '../delivery-queries.ts';
import { useLiveList } from '../live-list.ts';
import { EventSearch } from './events/event-search.tsx';
import { EventTable } from './events/event-table.tsx';

const route = getRouteApi('/signed-in/events');

export function EventsPage() {
  const { id } = route.useSearch();
  const [isLive, setLive] = useState(true);
  const list = useLiveList({
    queryKey: ['events', 'list'],
    list: (page) => api.listEvents(page),
    orderOf: orderOfEvent,
    isLive,
  });
  const { shown, newCount, showNew } = useStableRows(list.rows, orderOfEvent, 'events');
  return (
    <>
      <PageHeader
        title="Events"
        subtitle="All published events. An event is immutable once it is accepted."
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
        <EmptyState title="No events yet">
          <p>
            Your application publishes an event when something happens, for example when a document was
            processed. It is delivered to every webhook that subscribes to its type. Try it with an example:
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
              total={`${shown.length} in total`}
            />
          )}
        </>
      )}
    </>
  );
}
