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
import { settingsQuery, webhooksQuery } from '../queries.ts';
import { FirstRun, useFirstRun } from './webhooks/first-run/first-run.tsx';
import { WebhookTable } from './webhooks/webhook-table.tsx';

const route = getRouteApi('/signed-in/webhooks');

export function WebhooksPage() {
  const { filter = '' } = route.useSearch();
  const { data: webhooks, error } = useQuery(webhooksQuery);
  const { data: settings } = useQuery(settingsQuery);
  const reason = useScopeReason('webhooks:write');
  const { isShown: isFirstRun, dismiss } = useFirstRun();
  const shown = webhooks?.filter((webhook) => matches(webhook, filter));
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
      {isFirstRun && webhooks && <FirstRun webhooks={webhooks} onDismiss={dismiss} />}
      {webhooks?.length !== 0 && <Filter filter={filter} />}
      {webhooks?.length === 0 ? (
        isFirstRun === false && <NoWebhooks />
      ) : shown?.length === 0 ? (
        <p className="muted">
          No webhook matches “{filter}”. <Link to="/webhooks">Show all</Link>
        </p>
      ) : (
        (webhooks !== undefined || !error) && <WebhookTable webhooks={shown} />
      )}
    </>
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
          void navigate({ to: '/webhooks', search: text === '' ? {} : { filter: text }, replace: true })
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
