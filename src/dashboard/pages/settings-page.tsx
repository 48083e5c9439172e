import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Settings } from '../../contracts/settings.ts';
import { CopyButton } from '../components/button.tsx';
import { Page, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { Facts, Section } from '../components/section.tsx';
import { Ago, At } from '../components/time.tsx';
import { span } from '../durations.ts';
import { formatCount, formatShare } from '../format.ts';
import { sessionQuery, settingsQuery } from '../queries.ts';

export function SettingsPage() {
  const { data: settings, error } = useQuery(settingsQuery);
  return (
    <Page
      title="Settings"
      subtitle={
        <>
          The settings of the service. The operator sets them with environment variables;{' '}
          <code>fltr-webhooks config</code> prints all of them.
        </>
      }
    >
      <Problem error={error} />
      <div className="columns">
        <SessionCard />
        {settings && <ServiceSettings settings={settings} />}
      </div>
      {!settings && error === null && <Placeholder />}
    </Page>
  );
}

function Group({ title, facts }: { title: string; facts: Record<string, ReactNode> }) {
  return (
    <Section title={title}>
      <Facts className="facts numeric" facts={facts} />
    </Section>
  );
}

function SessionCard() {
  const { data: session } = useQuery(sessionQuery);
  if (!session) return null;
  return (
    <Group
      title="Account and session"
      facts={{
        Account: session.account_name,
        'Account id': (
          <span className="row">
            <code>{session.account_id}</code> <CopyButton text={session.account_id ?? ''} />
          </span>
        ),
        'Signed in with': `key “${session.key_name}”`,
        Scopes: session.scopes.map((scope) => (
          <code key={scope} className="block">
            {scope}
          </code>
        )),
        'Session ends': (
          <>
            <Ago at={session.expires_at} /> (<At at={session.expires_at} />)
          </>
        ),
      }}
    />
  );
}

const days = (count: number, zero: string): string =>
  count === 0 ? zero : count === 1 ? '1 day' : `${formatCount(count)} days`;
const perMinute = (count: number): string =>
  count === 0 ? 'no limit' : `${formatCount(count)} requests per minute and key`;
const schedule = (seconds: readonly number[]): string =>
  seconds.length === 0 ? 'none' : `${seconds.length}, after ${seconds.map(span).join(', ')}`;

function ServiceSettings({ settings }: { settings: Settings }) {
  const { auto_disable: disable, deliveries_per_hour: cap, deliveries_per_workflow: perWorkflow } = settings;
  return (
    <>
      <Group
        title="Service"
        facts={{
          Environment: settings.environment,
          Version: settings.version,
          Temporal: <WebUi url={settings.temporal_ui_url} />,
          'API reference': <a href="/docs">Open the API reference</a>,
        }}
      />
      <Group
        title="Attempts"
        facts={{
          'Header names': <code>{settings.header_prefix}…</code>,
          'User agent': <code>{settings.user_agent}</code>,
          'Time limit': `${formatCount(settings.attempt_timeout_ms)} ms per attempt`,
          Retries: schedule(settings.retry_schedule_seconds),
          'Hourly cap':
            cap === null
              ? 'none'
              : `${formatCount(cap)} attempts per webhook in any hour; further attempts are deferred`,
          Groups:
            perWorkflow <= 1
              ? 'none: each delivery has its own workflow from the first attempt'
              : `in a burst, up to ${perWorkflow} deliveries share a workflow for their first attempt`,
        }}
      />
      <Group
        title="Webhooks"
        facts={{
          Limit: `${formatCount(settings.max_webhooks)} per account`,
          'Disabled automatically': `above ${formatShare(disable.failure_rate)} failures in 24 hours (minimum ${disable.min_deliveries} deliveries), checked every ${span(disable.every_seconds)}`,
          'Held deliveries': `kept for ${formatCount(settings.hold_hours)} hours while a webhook is not active`,
        }}
      />
      <Group
        title="Limits and retention"
        facts={{
          API: perMinute(settings.api_requests_per_minute),
          Publishing: perMinute(settings.publish_requests_per_minute),
          'Payloads and responses': `kept ${days(settings.payload_retention_days, 'as long as their deliveries')}`,
          'Deliveries and events': `kept ${days(settings.retention_days, 'forever')}`,
        }}
      />
    </>
  );
}

function WebUi({ url }: { url: string | null }) {
  if (url === null)
    return (
      <span className="muted">
        No link: <code>TEMPORAL_UI_URL</code> is not set.
      </span>
    );
  return (
    <a href={url} target="_blank" rel="noreferrer">
      Open the Temporal Web UI<span className="visually-hidden"> (new tab)</span>
    </a>
  );
}
