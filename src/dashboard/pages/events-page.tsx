import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, Navigate, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
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
import { useLiveList } from '../live-list.ts';
import { eventQuery } from '../queries.ts';
import { api } from '../session-api.ts';

const route = getRouteApi('/signed-in/events');

export function EventsPage() {
  const { id } = route.useSearch();
  const list = useLiveList({
    queryKey: ['events', 'list'],
    list: (page) => api.listEvents(page),
    orderOf: ({ created_at: createdAt, id: eventId }) => `${createdAt} ${eventId}`,
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
      <EventSearch key={id} id={id} />
      <LiveRows
        list={list}
        caption="Events, newest first"
        className="event-table"
        columns={columns}
        empty={
          <EmptyState title="No events yet">
            <p>
              Your application publishes an event when something happens, for example when a document was
              processed. It is delivered to every webhook that subscribes to its type. Try it with an example:
            </p>
            {sendLink}
          </EmptyState>
        }
      />
    </>
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
function EventSearch({ id }: { id: string | undefined }) {
  const [text, setText] = useState(id ?? '');
  const navigate = useNavigate();
  const found = useQuery({ ...eventQuery(id ?? ''), enabled: id !== undefined });
  if (id !== undefined && found.data) return <Navigate to="/events/$id" params={{ id }} replace />;
  const missing = isMissing(found.error)
    ? `No event with the id ${id} was found in this account. It may have been removed after its retention period. Ids are case-sensitive.`
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
