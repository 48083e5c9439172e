import type { Webhook } from '../../../contracts/webhook.ts';
import { At } from '../../components/time.tsx';

const formatTexts: Record<Webhook['format'], string> = {
  fltr: 'FLTR: the event as JSON',
  slack: 'Slack: {"text": …}',
};

export function Configuration({ webhook }: { webhook: Webhook }) {
  const { url, description, events, format, created_at: createdAt, updated_at: updatedAt } = webhook;
  return (
    <section className="card" aria-labelledby="configuration-title">
      <h2 id="configuration-title">Configuration</h2>
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
        <dd>{formatTexts[format]}</dd>
        <dt>Created</dt>
        <dd>
          <At at={createdAt} />
        </dd>
        <dt>Updated</dt>
        <dd>
          <At at={updatedAt} />
        </dd>
      </dl>
    </section>
  );
}
