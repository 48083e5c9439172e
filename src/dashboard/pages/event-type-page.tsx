import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import type { EventTypeInfo } from '../../contracts/event-types.ts';
import type { Webhook } from '../../contracts/webhook.ts';
import { Badge } from '../components/badges.tsx';
import { CodeBlock } from '../components/code-block.tsx';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { Page, PageHeader, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { useScopeReason } from '../components/scope.tsx';
import { Facts, Section } from '../components/section.tsx';
import { formatCount, formatShare } from '../format.ts';
import { eventTypeQuery, eventTypeStatsQuery, webhooksQuery } from '../queries.ts';
import { toneOfShare } from '../webhook-state.ts';
import { sourceNames } from './event-types-page.tsx';
import { SchemaTable } from './event-types/schema-table.tsx';
import { Subscribers } from './event-types/subscribers.tsx';

const eyebrow = <Link to="/event-types">Event types</Link>;

/** One event type: its data, its subscribers, and how its deliveries end. */
export function EventTypePage() {
  const { name } = useParams({ from: '/signed-in/event-types/$name' });
  const { data: type, error } = useQuery(eventTypeQuery(name));
  const { data: webhooks, error: webhooksError } = useQuery(webhooksQuery);
  const problem = error ?? webhooksError;
  if (isMissing(error))
    return (
      <>
        <PageHeader title="Event type" eyebrow={eyebrow} />
        <NotFound what="Event type" to="/event-types" label="All event types" />
      </>
    );
  return (
    <Page title={name} eyebrow={eyebrow} actions={<Actions event={name} />}>
      <Problem error={problem} />
      {type && webhooks ? (
        <TypeDetails type={type} webhooks={webhooks} />
      ) : (
        problem === null && <Placeholder />
      )}
    </Page>
  );
}

function Actions({ event }: { event: string }) {
  const reason = useScopeReason('events:write');
  return (
    <>
      <Link to="/log" search={{ event }} className="button">
        Latest deliveries
      </Link>
      {reason === undefined && (
        <Link to="/events/send" search={{ event }} className="button button-primary">
          Send one
        </Link>
      )}
    </>
  );
}

const validationText = {
  strict: 'Data must match the schema. Fields that it does not name are refused.',
  open: 'Data must match the schema. Other fields may be added.',
  none: 'The schema is documentation: data is not checked.',
} as const;

const toText = (value: unknown): string => JSON.stringify(value, null, 2);

function TypeDetails({ type, webhooks }: { type: EventTypeInfo; webhooks: readonly Webhook[] }) {
  const { event, description, schema, example, validation, deprecated, source } = type;
  return (
    <>
      <p>{description}</p>
      {deprecated && (
        <p className="notice">
          <Badge tone="idle">deprecated</Badge> This type should not be used any longer. It can still be
          published.
        </p>
      )}
      <Section title="Last 24 hours">
        <Volume event={event} />
      </Section>
      <Section title="Fields of data" className="card stack">
        {schema ? (
          <>
            <p className="hint">{validationText[validation]}</p>
            <SchemaTable event={event} schema={schema} />
          </>
        ) : (
          <p className="muted">No schema is defined: data may hold any fields.</p>
        )}
      </Section>
      {example && <CodeBlock label="Example of data" name={`Example of ${event}`} text={toText(example)} />}
      <Subscribers event={event} webhooks={webhooks} />
      <Section title="Details">
        <Facts
          facts={{
            'Defined by': sourceNames[source],
            Validation: validation,
          }}
        />
      </Section>
    </>
  );
}

/** Links to the deliveries in the log that the numbers count. */
function Volume({ event }: { event: string }) {
  const { data: all, error } = useQuery(eventTypeStatsQuery);
  const stats = all?.data.find((each) => each.event === event);
  const rate = stats?.failure_rate ?? null;
  const linked = (count: number, status: 'delivered' | 'failed') =>
    count === 0 ? (
      '0'
    ) : (
      <Link to="/log" search={{ event, status, last: '24h' }}>
        {formatCount(count)}
      </Link>
    );
  return (
    <>
      <Problem error={error} />
      <Facts
        facts={{
          Delivered: all ? linked(stats?.delivered ?? 0, 'delivered') : '\u00a0',
          Failed: all ? linked(stats?.failed ?? 0, 'failed') : '\u00a0',
          'Failure rate': all ? <span className={toneOfShare(rate)}>{formatShare(rate)}</span> : '\u00a0',
          Attempts: all ? formatCount(stats?.attempts ?? 0) : '\u00a0',
        }}
      />
    </>
  );
}
