import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, Navigate, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { EventQuery, Page } from '../../client/pages.ts';
import type { EventSummary } from '../../contracts/event.ts';
import { StatusCounts } from '../components/badges.tsx';
import { Button } from '../components/button.tsx';
import { Field, Form, Switch } from '../components/field.tsx';
import { LiveRows } from '../components/live-rows.tsx';
import { isMissing } from '../components/page-error.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { EmptyState } from '../components/section.tsx';
import type { Column } from '../components/table.tsx';
import { Ago } from '../components/time.tsx';
import { isEventFiltered, toEventQuery } from '../event-search.ts';
import { useLiveList } from '../live-list.ts';
import { eventQuery } from '../queries.ts';
import { api } from '../session-api.ts';
import { EventFilters } from './events/event-filters.tsx';

const route = getRouteApi('/signed-in/events');

export function EventsPage() {
  const { id, ...filters } = route.useSearch();
  const list = useLiveList({
    queryKey: ['events', 'list', filters],
    list: (page) => listSome({ ...toEventQuery(filters), ...page }),
    orderOf: filters.outcome === 'undelivered' ? newestUndelivered : acceptance,
  });
  const sendLink = (
    <Link to="/events/send" className="button button-primary">
      Send an event
    </Link>
  );
  return (
    <>
      <PageHeader
        title="Events"
        subtitle="All published events. An event is immutable once it is accepted."
        actions={
          <>
            <Switch label="Live" isOn={list.isLive} onChange={list.setLive} />
            {sendLink}
          </>
        }
      />
      <FindById key={id} id={id} />
      <EventFilters search={filters} />
      <LiveRows
        list={list}
        caption="Events, newest first"
        className="event-table"
        columns={columns}
        empty={
          isEventFiltered(filters) ? (
            <NoMatch />
          ) : (
            <EmptyState title="No events yet">
              <p>
                Your application publishes an event when something happens, for example when a document was
                processed. It is delivered to every webhook that subscribes to its type. Try it with an
                example:
              </p>
              {sendLink}
            </EmptyState>
          )
        }
      />
    </>
  );
}

const acceptance = ({ created_at: createdAt, id }: EventSummary): string => `${createdAt} ${id}`;

/** That list is in the order of the newest delivery that ended without being delivered. */
const newestUndelivered = ({ deliveries }: EventSummary): string =>
  deliveries.reduce(
    (newest, { id, status }) => ((status === 'failed' || status === 'canceled') && id > newest ? id : newest),
    '',
  );

/** A page of a filtered list may be empty although there are more. */
const maxEmptyPages = 5;

/** The first page that has rows, or the last of so many empty ones. */
async function listSome(query: EventQuery): Promise<Page<EventSummary>> {
  let page = await api.listEvents(query);
  for (let empty = 1; empty < maxEmptyPages; empty += 1) {
    if (page.data.length > 0 || page.next_cursor === null) break;
    page = await api.listEvents({ ...query, cursor: page.next_cursor });
  }
  return page;
}

function NoMatch() {
  return (
    <EmptyState title="No events match these filters">
      <p>Try a wider time range, or another type or label.</p>
      <Link to="/events" search={{}} className="button">
        Clear filters
      </Link>
    </EmptyState>
  );
}

const columns: Column<EventSummary>[] = [
  {
    name: 'Event',
    isRowHeader: true,
    cell: ({ id, event, created_at: createdAt }) => (
      <>
        <Link to="/events/$id" params={{ id }} className="row-link">
          {event}
        </Link>
        <span className="narrow-line muted small">
          <Ago at={createdAt} /> · <code>{id}</code>
        </span>
      </>
    ),
  },
  { name: 'Id', cell: ({ id }) => <code>{id}</code> },
  { name: 'Accepted', className: 'numeric', cell: ({ created_at: at }) => <Ago at={at} /> },
  { name: 'Deliveries', cell: ({ deliveries }) => <StatusCounts deliveries={deliveries} /> },
];

/** Opens the event with the id in the URL, or reports that there is none. */
function FindById({ id }: { id: string | undefined }) {
  const [text, setText] = useState(id ?? '');
  const navigate = useNavigate();
  const found = useQuery({ ...eventQuery(id ?? ''), enabled: id !== undefined });
  if (id !== undefined && found.data) return <Navigate to="/events/$id" params={{ id }} replace />;
  const missing = isMissing(found.error)
    ? `No event with the id ${id} was found in this account. It may have been removed after its retention period. Upper and lower case matter.`
    : undefined;
  return (
    <search>
      <Form
        aria-label="Find an event by id"
        className="find"
        onSubmit={() => void navigate({ to: '/events', search: { id: text.trim() || undefined } })}
      >
        <Field label="Find by id" error={missing}>
          {(control) => (
            <div className="find-line">
              <input
                {...control}
                autoComplete="off"
                spellCheck={false}
                placeholder="evt_…"
                maxLength={200}
                value={text}
                onChange={({ target }) => setText(target.value)}
              />
              <Button type="submit" disabled={found.isFetching && id !== undefined}>
                Find
              </Button>
            </div>
          )}
        </Field>
        {missing === undefined && <Problem error={found.error} />}
      </Form>
    </search>
  );
}
