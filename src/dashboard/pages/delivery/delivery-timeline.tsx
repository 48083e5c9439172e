import type { Delivery, TimelineEntry } from '../../../contracts/delivery.ts';
import { useQuery } from '@tanstack/react-query';
import { Section } from '../../components/section.tsx';
import { At, Offset } from '../../components/time.tsx';
import { formatDuration, span } from '../../durations.ts';
import { attemptText, reasonText } from '../../delivery-text.ts';
import { isPortal } from '../../portal.ts';
import { sessionQuery } from '../../queries.ts';
import { AttemptLink } from './delivery-attempts.tsx';

export function DeliveryTimeline({ delivery }: { delivery: Delivery }) {
  const { timeline, attempts, created_at: acceptedAt } = delivery;
  return (
    <Section title="Timeline">
      <ol className="timeline">
        {timeline.map((entry, index) => (
          // Entries are only appended, so the index identifies an entry.
          <li key={index} data-tone={toneOf(entry)}>
            <span>
              <Entry entry={entry} attempts={attempts} />
            </span>
            <span className="muted small nowrap">
              <Offset at={entry.at} from={acceptedAt} />
            </span>
          </li>
        ))}
      </ol>
    </Section>
  );
}

function toneOf(entry: TimelineEntry): 'good' | 'bad' | undefined {
  if (entry.type === 'attempt') return entry.outcome === 'delivered' ? 'good' : 'bad';
  if (entry.type !== 'ended') return undefined;
  return entry.status === 'delivered' ? 'good' : entry.status === 'failed' ? 'bad' : undefined;
}

function Entry({ entry, attempts }: { entry: TimelineEntry; attempts: Delivery['attempts'] }) {
  switch (entry.type) {
    case 'accepted':
      return 'Accepted';
    case 'started':
      return entry.workflow_id?.startsWith('grp_')
        ? 'Group started for the first attempt'
        : 'Workflow started';
    case 'attempt':
      return (
        <>
          <AttemptLink number={entry.number} />:{' '}
          {attemptText(attempts.find(({ id }) => id === entry.id) ?? { ...entry, error: null })} after{' '}
          {formatDuration(entry.duration_ms)}
        </>
      );
    case 'wait':
      return <Wait entry={entry} />;
    case 'signal':
      return <Signal name={entry.name} by={entry.by} />;
    case 'held':
      return 'Held: the webhook is not active';
    case 'released':
      return 'Released: the webhook is active again';
    case 'ended':
      return (
        <>
          <strong>{upperFirst(entry.status)}</strong>
          {entry.reason !== null && `: ${lowerFirst(reasonText(entry.reason))}`}
        </>
      );
  }
}

function Wait({ entry }: { entry: Extract<TimelineEntry, { type: 'wait' }> }) {
  const length = span(Math.round(entry.seconds));
  const until = <At at={entry.until} />;
  switch (entry.reason) {
    case 'hourly_cap':
      return (
        <>
          Deferred by the hourly cap for {length}, until {until}
        </>
      );
    case 'rate_limit':
      return (
        <>
          Deferred by the webhook’s rate limit for {length}, until {until}
        </>
      );
    case 'receiver_requested':
      return (
        <>
          Deferred for {length}, until {until}: the receiver requested it
        </>
      );
    case 'down':
      return <>Deferred until {until} at the latest: the webhook is down</>;
    case 'scheduled':
      return <>Scheduled for {until}</>;
    case 'rescheduled':
      return <>Next attempt rescheduled to {until}</>;
    case undefined:
      return `Retry scheduled in ${length}`;
  }
}

const signals: Record<string, string> = {
  retryNow: 'Retry requested',
  cancel: 'Cancel requested',
  expunge: 'Expunge of the event requested',
  reschedule: 'Reschedule requested',
  recover: 'Recovery requested',
};

function Signal({ name, by }: { name: string; by: string }) {
  const { data: session } = useQuery(sessionQuery);
  const who =
    by === 'temporal'
      ? 'in Temporal'
      : by === session?.key_id
        ? isPortal
          ? 'by you'
          : `by your key “${session.key_name}”`
        : `by ${by}`;
  return `${signals[name] ?? name} ${who}`;
}

const upperFirst = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
