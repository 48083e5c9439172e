import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { Page, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { eventQuery, eventTypesQuery } from '../queries.ts';
import { SendForm } from './send-event/send-form.tsx';

const route = getRouteApi('/signed-in/events/send');

/** The text of `data` in an event's body, where it is the last member. */
function dataOf(body: string | null | undefined): string | null {
  const start = body?.indexOf(',"data":') ?? -1;
  return body && start !== -1 ? body.slice(start + ',"data":'.length, -1) : null;
}

export function SendEventPage() {
  const { event, copy } = route.useSearch();
  const types = useQuery(eventTypesQuery);
  const copied = useQuery({ ...eventQuery(copy ?? ''), enabled: copy !== undefined });
  const isReady = types.data && (copy === undefined || copied.data || copied.error);
  return (
    <Page
      eyebrow={<Link to="/events">Events</Link>}
      title="Send an event"
      subtitle="Publishes a real event: it is delivered, with retries, to every webhook that subscribes to its type."
    >
      <Problem error={types.error ?? copied.error} />
      {isReady ? (
        <SendForm key={copy} types={types.data.data} event={event} data={dataOf(copied.data?.body)} />
      ) : (
        types.error === null && <Placeholder />
      )}
    </Page>
  );
}
