import type { Webhook } from '../../../contracts/webhook.ts';
import { At } from '../../components/time.tsx';

const formatWords: Record<Webhook['format'], string> = {
  fltr: 'FLTR: the event as it is',
  slack: 'Slack: {"text": …}',
};

export function Facts({ webhook }: { webhook: Webhook }) {
  const { url, description, events, format, created_at: createdAt, updated_at: updatedAt } = webhook;
  return (
    <section className="card" aria-labelledby="facts-title">
      <h2 id="facts-title">Facts</h2>
      <dl className="facts">
        <dt>URL</dt>
        <dd>{url}</dd>
        <dt>Description</dt>
        <dd>{description ?? <span className="muted">none</span>}</dd>
        <dt>Events</dt>
        <dd>
          {events.map((event) => (
            <code key={event} className="event-name">
              {event}
            </code>
          ))}
        </dd>
        <dt>Format</dt>
        <dd>{formatWords[format]}</dd>
        <dt>Created</dt>
        <dd>
          <At at={createdAt} />
        </dd>
        <dt>Changed</dt>
        <dd>
          <At at={updatedAt} />
        </dd>
      </dl>
    </section>
  );
}
