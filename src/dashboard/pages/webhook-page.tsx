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
import { useNewSecret } from '../unread-secret.ts';
import { webhookQuery, webhookStatsQuery } from '../queries.ts';
import { ActivateDialog } from './webhook/activate-dialog.tsx';
import { DeleteWebhook } from './webhook/delete-webhook.tsx';
import { EditDialog } from './webhook/edit-dialog.tsx';
import { Facts } from './webhook/configuration.tsx';
import { Health } from './webhook/webhook-notices.tsx';
import { LatestDeliveries } from './webhook/latest-deliveries.tsx';
import { NewSecret } from './webhook/new-secret-card.tsx';
import { PauseButton } from './webhook/pause-button.tsx';
import { Recover } from './webhook/recovery-card.tsx';
import { Secret } from './webhook/secret-card.tsx';
import { Traffic } from './webhook/traffic.tsx';

const route = getRouteApi('/signed-in/webhooks/$id');

export function WebhookPage() {
  const { id } = route.useParams();
  const { data: webhook, error } = useQuery(webhookQuery(id));
  const isGone = isMissing(error);
  if (webhook && !isGone)
    return (
      <>
        <Problem error={error} />
        <OneWebhook key={id} webhook={webhook} />
      </>
    );
  return (
    <>
      <PageHeader eyebrow={<Place />} title="Webhook" subtitle={<code>{id}</code>} />
      {isGone ? <NotFound to="/webhooks" label="All webhooks" /> : <Problem error={error} />}
      {!error && <div className="card skeleton-page" aria-busy="true" />}
    </>
  );
}

function Place() {
  return <Link to="/webhooks">Webhooks</Link>;
}

function OneWebhook({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, url, events, active } = webhook;
  const { data: stats } = useQuery(webhookStatsQuery(id));
  const { secret, forget } = useNewSecret(id);
  return (
    <>
      <PageHeader
        eyebrow={<Place />}
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
        <ScopeNote scope="webhooks:write" deed="change this webhook" />
        {secret && <NewSecret webhookId={id} events={events} secret={secret} onKept={forget} />}
        <Health webhook={webhook} />
        <Traffic webhook={webhook} />
        <LatestDeliveries webhookId={id} />
        <div className="columns">
          <Facts webhook={webhook} />
          <Secret webhook={webhook} />
        </div>
        <div className="columns">
          {!secret && (
            <section className="card" aria-labelledby="test-title">
              <h2 id="test-title">Send a test event</h2>
              <TestEvent webhookId={id} events={events} />
            </section>
          )}
          <Recover webhook={webhook} />
        </div>
      </div>
    </>
  );
}
