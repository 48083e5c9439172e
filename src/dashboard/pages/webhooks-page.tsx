import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import type { Webhook } from '../../contracts/webhook.ts';
import { Button } from '../components/button.tsx';
import { CodeBlock } from '../components/code-block.tsx';
import { InputField } from '../components/field.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote, useScopeReason } from '../components/scope.tsx';
import { EmptyState } from '../components/section.tsx';
import { defaultRange } from '../components/range-choice.tsx';
import { settingsQuery, statsQuery, webhooksQuery } from '../queries.ts';
import { byUrgency, webhookStateOf } from '../webhook-state.ts';
import { AccountTraffic } from './webhooks/account-traffic.tsx';
import { HealthSummary } from './webhooks/health-summary.tsx';
import { FirstRun, useFirstRun } from './webhooks/first-run/first-run.tsx';
import { WebhookTable } from './webhooks/webhook-table.tsx';

const route = getRouteApi('/signed-in/webhooks');

export function WebhooksPage() {
  const { data: webhooks, error } = useQuery(webhooksQuery);
  const { data: settings } = useQuery(settingsQuery);
  const reason = useScopeReason('webhooks:write');
  const { isShown: isFirstRun, dismiss } = useFirstRun();
  const limit = settings ? ` of ${settings.max_webhooks}` : '';
  return (
    <>
      <PageHeader
        title="Webhooks"
        subtitle={<p className="numeric">{webhooks ? `${webhooks.length}${limit}` : '\u00a0'}</p>}
        actions={
          reason === undefined ? (
            <Link to="/webhooks/new" className="button button-primary">
              Create webhook
            </Link>
          ) : (
            <Button look="primary" disabledReason={reason}>
              Create webhook
            </Button>
          )
        }
      />
      <ScopeNote scope="webhooks:write" action="create or change a webhook" />
      <Problem error={error} />
      {webhooks === undefined || isFirstRun === undefined ? (
        !error && <WebhookTable rows={undefined} />
      ) : (
        <>
          {isFirstRun && <FirstRun webhooks={webhooks} onDismiss={dismiss} />}
          {webhooks.length > 0 ? (
            <Overview webhooks={webhooks} hasTraffic={!isFirstRun} />
          ) : (
            !isFirstRun && <NoWebhooks />
          )}
        </>
      )}
    </>
  );
}

type OverviewProps = { webhooks: readonly Webhook[]; hasTraffic: boolean };

function Overview({ webhooks, hasTraffic }: OverviewProps) {
  const { filter = '', state, range = defaultRange } = route.useSearch();
  // The order of the rows depends on it, for each range of the chart.
  const { data: stats, error } = useQuery(statsQuery('24h'));
  // A table of its own, so that nothing moves when the numbers are there.
  if (stats === undefined && !error) return <WebhookTable rows={undefined} />;
  const byId = new Map(stats?.data.map((each) => [each.webhook_id, each]));
  const rows = byUrgency(
    webhooks.map((webhook) => {
      const ofWebhook = byId.get(webhook.webhook_id);
      return { webhook, stats: ofWebhook, state: webhookStateOf(webhook, ofWebhook?.buckets) };
    }),
  );
  const shown = rows.filter(
    (row) => (state === undefined || row.state === state) && matches(row.webhook, filter),
  );
  return (
    <div className="stack">
      <Problem error={error} />
      <HealthSummary
        states={rows.map((row) => row.state)}
        waiting={stats?.data.map(({ waiting }) => waiting)}
        filter={state}
      />
      {hasTraffic && <AccountTraffic range={range} />}
      <Filter filter={filter} />
      {shown.length === 0 ? (
        <p className="muted">
          No {state ?? ''} webhook{filter !== '' && ` matches “${filter}”`}.{' '}
          <Link to="/webhooks">Show all</Link>
        </p>
      ) : (
        <WebhookTable rows={shown} />
      )}
    </div>
  );
}

function matches({ webhook_id, url, description, events }: Webhook, filter: string): boolean {
  const text = [webhook_id, url, description, ...events].join(' ').toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function Filter({ filter }: { filter: string }) {
  const navigate = useNavigate();
  return (
    <search className="filter-text">
      <InputField
        label="Filter by URL, description or event"
        type="search"
        value={filter}
        onChange={(text) =>
          void navigate({
            to: '/webhooks',
            search: (search) => ({ ...search, filter: text === '' ? undefined : text }),
            replace: true,
            resetScroll: false,
          })
        }
      />
    </search>
  );
}

function NoWebhooks() {
  const line = `curl -X POST ${location.origin}/v1/webhooks \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"url": "http://localhost:5000/webhooks/fltr", "events": ["*"]}'`;
  return (
    <EmptyState title="No webhooks yet">
      <p>
        A webhook sends events to a URL of yours. Each request is signed with the webhook&apos;s secret, and
        failed deliveries are retried.
      </p>
      <Link to="/webhooks/new" className="button button-primary">
        Create webhook
      </Link>
      <p>Or use the API:</p>
      <CodeBlock label="Create a webhook" text={line} />
    </EmptyState>
  );
}
