import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import type { Webhook } from '../../contracts/webhook.ts';
import { CopyButton } from '../components/copy-button.tsx';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { WebhookBadge } from '../components/badges.tsx';
import { TestEvent } from '../components/test-event.tsx';
import { headingOf } from '../format.ts';
import { useUnreadSecret } from '../unread-secret.ts';
import { webhookQuery, webhookStatsQuery } from '../queries.ts';
import { ActivateDialog } from './webhook/activate-dialog.tsx';
import { DeleteWebhook } from './webhook/delete-webhook.tsx';
import { EditDialog } from './webhook/edit-dialog.tsx';
import { Configuration } from './webhook/configuration.tsx';
import { WebhookNotices } from './webhook/webhook-notices.tsx';
import { LatestDeliveries } from './webhook/latest-deliveries.tsx';
import { NewSecretCard } from './webhook/new-secret-card.tsx';
import { PauseButton } from './webhook/pause-button.tsx';
import { RecoveryCard } from './webhook/recovery-card.tsx';
import { SecretCard } from './webhook/secret-card.tsx';
import { Traffic } from './webhook/traffic.tsx';

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
      {isDeleted ? <NotFound to="/webhooks" label="All webhooks" /> : <Problem error={error} />}
      {!error && <div className="card skeleton-page" aria-busy="true" />}
    </>
  );
}

function BackLink() {
  return <Link to="/webhooks">Webhooks</Link>;
}

function WebhookDetails({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, url, events, active } = webhook;
  const { data: stats } = useQuery(webhookStatsQuery(id));
  const { secret, forget } = useUnreadSecret(id);
  return (
    <>
      <PageHeader
        eyebrow={<BackLink />}
        title={headingOf(url)}
        subtitle={
          <div className="row">
            <WebhookBadge webhook={webhook} hourly={stats?.hourly} />
            <code>{id}</code>
            <CopyButton text={id} label="Copy id" />
          </div>
        }
        actions={
          <>
            <EditDialog webhook={webhook} />
            {active ? <PauseButton webhook={webhook} /> : <ActivateDialog webhook={webhook} />}
            <DeleteWebhook webhook={webhook} />
          </>
        }
      />
      <div className="stack">
        <ScopeNote scope="webhooks:write" action="change this webhook" />
        {secret && <NewSecretCard webhookId={id} events={events} secret={secret} onSaved={forget} />}
        <WebhookNotices webhook={webhook} />
        <Traffic webhook={webhook} />
        <LatestDeliveries webhookId={id} />
        <div className="columns">
          <Configuration webhook={webhook} />
          <SecretCard webhook={webhook} />
        </div>
        <div className="columns">
          {!secret && (
            <section className="card" aria-labelledby="test-title">
              <h2 id="test-title">Send a test event</h2>
              <TestEvent webhookId={id} events={events} />
            </section>
          )}
          <RecoveryCard webhook={webhook} />
        </div>
      </div>
    </>
  );
}
