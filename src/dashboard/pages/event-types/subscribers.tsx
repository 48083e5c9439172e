import { useQuery } from '@tanstack/react-query';
import type { Webhook } from '../../../contracts/webhook.ts';
import { StateDot } from '../../components/badges.tsx';
import { Section } from '../../components/section.tsx';
import { WebhookLink } from '../../components/webhook-name.tsx';
import { isSubscribed } from '../../event-filters.ts';
import { statsQuery } from '../../queries.ts';
import { webhookStateOf } from '../../webhook-state.ts';

const maxShown = 100;

type Props = { event: string; webhooks: readonly Webhook[] };

/** The webhooks that get events of the type. */
export function Subscribers({ event, webhooks }: Props) {
  const { data: stats } = useQuery(statsQuery('24h'));
  const bucketsOf = (id: string) => stats?.data.find(({ webhook_id: each }) => each === id)?.buckets;
  const subscribed = webhooks.filter(({ events }) => isSubscribed(events, event));
  const more = subscribed.length - maxShown;
  return (
    <Section title={`Subscribers (${subscribed.length})`}>
      {subscribed.length === 0 && <p className="muted">No webhook subscribes to this type.</p>}
      <ul className="subscriber-list">
        {subscribed.slice(0, maxShown).map((webhook) => (
          <li key={webhook.webhook_id}>
            <WebhookLink webhookId={webhook.webhook_id} />
            <StateDot state={webhookStateOf(webhook, bucketsOf(webhook.webhook_id))} />
            {webhook.filter && <span className="muted small">only events that match its filter</span>}
          </li>
        ))}
      </ul>
      {more > 0 && <p className="muted">and {more} more</p>}
    </Section>
  );
}
