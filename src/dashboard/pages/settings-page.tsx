import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Session } from '../../contracts/session.ts';
import type { Settings } from '../../contracts/settings.ts';
import { Page, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { Facts, Section } from '../components/section.tsx';
import { Ago, At } from '../components/time.tsx';
import { span } from '../durations.ts';
import { formatCount, formatShare } from '../format.ts';
import { sessionQuery, settingsQuery } from '../queries.ts';
import { AccountCard } from './settings/account-card.tsx';
import { PreferencesCard } from './settings/preferences-card.tsx';

export function SettingsPage() {
  const { data: session } = useQuery(sessionQuery);
  if (!session) return <Page title="Settings">{null}</Page>;
  const { account_id: id, account_name: name } = session;
  return (
    <Page title="Settings">
      <div className="columns">
        {id !== null && <AccountCard id={id} name={name ?? id} />}
        <PreferencesCard />
        <SessionCard session={session} />
      </div>
      {id !== null && <ServiceSettings />}
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

function SessionCard({ session }: { session: Session }) {
  return (
    <Group
      title="Session"
      facts={{
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

/** Only the operator of the service changes them. */
function ServiceSettings() {
  const { data: settings, error } = useQuery(settingsQuery);
  return (
    <>
      <h2>Service</h2>
      <p className="muted">
        The operator sets these with environment variables; <code>fltr-webhooks config</code> prints all of
        them.
      </p>
      <Problem error={error} />
      {settings ? (
        <div className="columns">
          <SettingsGroups settings={settings} />
        </div>
      ) : (
        error === null && <Placeholder />
      )}
    </>
  );
}

function SettingsGroups({ settings }: { settings: Settings }) {
  const { auto_disable: disable, deliveries_per_hour: cap, deliveries_per_workflow: perWorkflow } = settings;
  return (
    <>
      <Group
        title="Version and pages"
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
