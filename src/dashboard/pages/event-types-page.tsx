import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { EventTypeInfo } from '../../contracts/event-types.ts';
import { Badge } from '../components/badges.tsx';
import { CodeBlock } from '../components/code-block.tsx';
import { Page, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { Section } from '../components/section.tsx';
import { familiesOf } from '../event-filters.ts';
import { eventTypesQuery } from '../queries.ts';

/** What events there are: for whoever writes a receiver. */
export function EventTypesPage() {
  const { data: types, error } = useQuery(eventTypesQuery);
  return (
    <Page
      title="Event types"
      subtitle="The events that a webhook can subscribe to, and what their data looks like."
    >
      <Problem error={error} />
      {types?.data.length === 0 && <p className="muted">No event type is defined yet.</p>}
      {types
        ? familiesOf(types.data).map(({ name, types: ofFamily }) => (
            <Section key={name} title={name} className="stack">
              {ofFamily.map((type) => (
                <EventType key={type.event} type={type} />
              ))}
            </Section>
          ))
        : error === null && <Placeholder />}
    </Page>
  );
}

const validationText = {
  strict: 'Data must match the schema. Unknown fields are refused.',
  open: 'Data must match the schema. Other fields may be added.',
  none: 'The schema is documentation: data is not checked.',
} as const;

const toText = (value: unknown): string => JSON.stringify(value, null, 2);

function EventType({ type }: { type: EventTypeInfo }) {
  const { event, description, schema, example, validation, deprecated } = type;
  return (
    <details className="card">
      <summary>
        <code>{event}</code> {deprecated && <Badge tone="idle">deprecated</Badge>}{' '}
        <span className="muted">{description}</span>
      </summary>
      <div className="stack">
        {example && <CodeBlock label="Example of data" name={`Example of ${event}`} text={toText(example)} />}
        {schema && (
          <CodeBlock label="JSON Schema of data" name={`Schema of ${event}`} text={toText(schema)} />
        )}
        {schema && <p className="hint">{validationText[validation]}</p>}
        <p>
          <Link to="/events/send" search={{ event }}>
            Send an event of this type
          </Link>
        </p>
      </div>
    </details>
  );
}
