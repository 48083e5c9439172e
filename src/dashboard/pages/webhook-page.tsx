import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { StatsRange } from '../../contracts/stats-ranges.ts';
import type { Webhook } from '../../contracts/webhook.ts';
import { CopyButton } from '../components/button.tsx';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { Page, PageHeader, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { defaultRange } from '../components/range-choice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { StateDot } from '../components/badges.tsx';
import { Facts, Section } from '../components/section.tsx';
import { TestEvent } from '../components/test-event.tsx';
import { At } from '../components/time.tsx';
import { headingOf } from '../format.ts';
import { isPortal } from '../portal.ts';
import { useUnreadSecret } from '../unread-secret.ts';
import { latestDeliveriesQuery, webhookQuery, webhookStatsQuery } from '../queries.ts';
import { webhookStateOf } from '../webhook-state.ts';
import { formatText } from '../webhook-formats.ts';
import { BlockedLines } from './webhook/blocked-lines.tsx';
import { FilterCard } from './webhook/filter-card.tsx';
import { LatestDeliveries } from './webhook/latest-deliveries.tsx';
import { NewSecretCard } from './webhook/new-secret-card.tsx';
import { policyFacts } from './webhook/policy-facts.tsx';
import { RecoveryCard } from './webhook/recovery-card.tsx';
import { SecretCard } from './webhook/secret-card.tsx';
import { Traffic } from './webhook/traffic.tsx';
import { WebhookActions } from './webhook/webhook-actions.tsx';
import { WebhookNotices } from './webhook/webhook-notices.tsx';

const route = getRouteApi('/signed-in/webhooks/$id');

export function WebhookPage() {
  const { id } = route.useParams();
  const { data: webhook, error } = useQuery(webhookQuery(id));
  const isDeleted = isMissing(error);
  if (webhook && !isDeleted)
    return (
      <>
        <Problem error={error} />
        <WebhookDetails key={id} webhook={webhook} />
      </>
    );
  return (
    <>
      <PageHeader eyebrow={<BackLink />} title="Webhook" subtitle={<code>{id}</code>} />
      {isDeleted ? (
        <NotFound what="Webhook" to="/webhooks" label="All webhooks" />
      ) : (
        <Problem error={error} />
      )}
      {!error && <div className="card skeleton-page" aria-busy="true" />}
    </>
  );
}

function BackLink() {
  return <Link to="/webhooks">Webhooks</Link>;
}

function WebhookDetails({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, url, events } = webhook;
  const { range = defaultRange } = route.useSearch();
  const { data: stats } = useQuery(webhookStatsQuery(id, '24h'));
  const { secret, forget } = useUnreadSecret(id);
  return (
    <Page
      eyebrow={<BackLink />}
      title={headingOf(url)}
      subtitle={
        <div className="row">
          <StateDot state={webhookStateOf(webhook, stats?.buckets)} />
          <code>{id}</code>
          <CopyButton text={id} label="Copy id" />
        </div>
      }
      actions={<WebhookActions webhook={webhook} />}
    >
      <ScopeNote scope="webhooks:write" action="change this webhook" />
      {secret && <NewSecretCard webhookId={id} events={events} secret={secret} onSaved={forget} />}
      <WebhookNotices webhook={webhook} />
      <BlockedLines webhook={webhook} />
      <Activity webhook={webhook} range={range} hasTest={secret !== undefined}>
        <div className="columns">
          <Configuration webhook={webhook} />
          {webhook.format !== 'email' && <SecretCard webhook={webhook} />}
        </div>
        {webhook.filter && <FilterCard webhookId={id} filter={webhook.filter} events={events} />}
      </Activity>
    </Page>
  );
}

type ActivityProps = {
  webhook: Webhook;
  range: StatsRange;
  /** The page has a test event already. */
  hasTest: boolean;
  /** The webhook's settings, between its traffic and its actions. */
  children: ReactNode;
};

/** A webhook without deliveries begins with a test event, and has no numbers to show. */
function Activity({ webhook, range, hasTest, children }: ActivityProps) {
  const { webhook_id: id, events, format } = webhook;
  const { data: deliveries, error } = useQuery(latestDeliveriesQuery(id));
  if (deliveries === undefined && !error) return <Placeholder />;
  const isEmpty = deliveries?.data.length === 0;
  const testEvent = !hasTest && (
    <Section title="Send a test event">
      <TestEvent webhookId={id} events={events} isEmail={format === 'email'} />
    </Section>
  );
  return (
    <>
      {isEmpty ? testEvent : <Traffic webhook={webhook} range={range} />}
      <LatestDeliveries webhookId={id} />
      {children}
      <div className="columns">
        {!isEmpty && testEvent}
        <RecoveryCard webhook={webhook} />
      </div>
    </>
  );
}

const AuditLink = ({ webhookId }: { webhookId: string }) => (
  <Link to="/audit" search={{ target: webhookId }}>
    Who changed it
  </Link>
);

function Configuration({ webhook }: { webhook: Webhook }) {
  const metadata = Object.entries(webhook.metadata);
  return (
    <Section
      title="Configuration"
      beside={isPortal ? undefined : <AuditLink webhookId={webhook.webhook_id} />}
    >
      <Facts
        facts={{
          URL: webhook.url,
          Description: webhook.description ?? <span className="muted">none</span>,
          Events: webhook.events.map((event) => (
            <code key={event} className="event-name">
              {event}
            </code>
          )),
          Format: formatText(webhook.format),
          'External id': webhook.external_id && (
            <span className="row">
              <code>{webhook.external_id}</code>
              <CopyButton text={webhook.external_id} label="Copy external id" />
            </span>
          ),
          Metadata: metadata.length === 0 ? null : <Facts facts={Object.fromEntries(metadata)} />,
          ...policyFacts(webhook),
          Created: <At at={webhook.created_at} />,
          Updated: <At at={webhook.updated_at} />,
        }}
      />
    </Section>
  );
}
