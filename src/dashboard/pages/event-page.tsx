import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { indentJson } from '../../client/raw-json.ts';
import type { Webhook } from '../../contracts/webhook.ts';
import { CopyButton } from '../components/button.tsx';
import { CodeBlock } from '../components/code-block.tsx';
import { ExpungeEvent } from '../components/expunge-event.tsx';
import { Switch } from '../components/field.tsx';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { Page, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { Facts, Section } from '../components/section.tsx';
import { At } from '../components/time.tsx';
import { WebhookLink } from '../components/webhook-name.tsx';
import { isSubscribed } from '../event-filters.ts';
import { formatCount } from '../format.ts';
import { eventQuery, eventTypesQuery, webhooksQuery } from '../queries.ts';
import type { api } from '../session-api.ts';
import { EventDeliveries, RetryUndelivered } from './event/event-deliveries.tsx';

const route = getRouteApi('/signed-in/events/$id');

export function EventPage() {
  const { id } = route.useParams();
  const { data: event, error } = useQuery(eventQuery(id));
  // Loaded before the page is shown, so that nothing moves when the webhooks' names arrive.
  const webhooks = useQuery(webhooksQuery);
  // Operational events cannot be published.
  const { data: types } = useQuery(eventTypesQuery);
  const type = types?.data.find((each) => each.event === event?.event)?.event;
  return (
    <Page
      eyebrow={<Link to="/events">Events</Link>}
      title={event?.event ?? 'Event'}
      subtitle={
        <span className="row">
          <code className="break">{id}</code> <CopyButton text={id} />
        </span>
      }
      actions={
        <>
          {type && event?.body !== null && (
            <Link to="/events/send" search={{ event: type, copy: id }} className="button">
              Send a copy
            </Link>
          )}
          {event?.expunged_at === null && <ExpungeEvent id={id} />}
        </>
      }
    >
      {isMissing(error) ? (
        <NotFound what="Event" to="/events" label="Back to events" />
      ) : (
        <Problem error={error} />
      )}
      {event && !webhooks.isPending ? (
        <>
          <Section title="Details">
            <Facts
              facts={{
                Timestamp: <At at={event.timestamp} />,
                Accepted: <At at={event.created_at} />,
                'Only for': event.webhook_ids?.map((each) => <WebhookLink key={each} webhookId={each} />),
                'Order key': event.order_key,
                'Deliver at': event.deliver_at && <At at={event.deliver_at} />,
                'Expires at': event.expires_at && <At at={event.expires_at} />,
                Expunged: event.expunged_at && <At at={event.expunged_at} />,
                Labels:
                  event.labels.length === 0
                    ? null
                    : event.labels.map((label) => (
                        <code key={label} className="event-name">
                          {label}
                        </code>
                      )),
              }}
            />
          </Section>
          <EventDeliveries
            event={event}
            beside={<RetryUndelivered event={event} webhooks={webhooks.data ?? []} />}
          />
          <NotSentTo event={event} webhooks={webhooks.data ?? []} />
          <Payload event={event} />
        </>
      ) : (
        error === null && <Placeholder />
      )}
    </Page>
  );
}

type Event = Awaited<ReturnType<typeof api.getEvent>>;
type NotSentProps = { event: Event; webhooks: readonly Webhook[] };

/** The account's other webhooks, and why the event was not sent to them. */
function NotSentTo({ event, webhooks }: NotSentProps) {
  const others = webhooks.filter(
    ({ webhook_id: id }) => !event.deliveries.some((delivery) => delivery.webhook_id === id),
  );
  if (others.length === 0) return null;
  return (
    <details className="card">
      <summary>
        Not sent to {others.length === 1 ? '1 webhook' : `${others.length} webhooks`}, and why
      </summary>
      <ul className="plain-list">
        {others.map((webhook) => (
          <li key={webhook.webhook_id}>
            <WebhookLink webhookId={webhook.webhook_id} />
            <span className="muted small">{reasonOf(webhook, event)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

const recover = 'Use “Recover” on its page to send missed events.';

function reasonOf({ webhook_id: id, created_at: createdAt, events }: Webhook, event: Event): string {
  const other = event.other_webhooks.find((each) => each.webhook_id === id);
  const isSubscribedNow = isSubscribed(events, event.event);
  const matchesNow = other?.matches_now ?? isSubscribedNow;
  const isFiltered = isSubscribedNow && !matchesNow;
  if (event.webhook_ids?.includes(id) === false) return 'Published for other webhooks alone.';
  if (createdAt > event.created_at) {
    if (matchesNow) return `Created after the event. ${recover}`;
    return isFiltered
      ? 'Created after the event, and its filter does not match it.'
      : 'Created after the event, and not subscribed to this type.';
  }
  if (other && isFiltered) return other.because.message;
  if (!isSubscribedNow) return `Not subscribed to this type, only to ${events.join(', ')}.`;
  return other?.because.reason === 'data_removed'
    ? other.because.message
    : `Its event types or its filter did not match when the event was accepted; now they do. ${recover}`;
}

/** The body of all attempts, formatted or exactly as sent. */
function Payload({ event: { body, expunged_at: expungedAt } }: { event: Event }) {
  const [isPretty, setPretty] = useState(true);
  if (body === null)
    return (
      <Section title="Payload" className="card stack">
        <p className="muted">
          {expungedAt === null
            ? 'The payload was removed after its retention period.'
            : 'The payload was removed: the event was expunged.'}{' '}
          The deliveries are still listed.
        </p>
      </Section>
    );
  const bytes = formatCount(new TextEncoder().encode(body).length);
  return (
    <Section
      title="Payload"
      className="card stack"
      beside={<Switch label="Formatted" isOn={isPretty} onChange={setPretty} />}
    >
      <CodeBlock
        label={`${bytes} bytes, ${isPretty ? 'formatted' : 'as sent and signed'}`}
        text={isPretty ? indentJson(body) : body}
      />
    </Section>
  );
}
