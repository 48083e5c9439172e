import { useQuery } from '@tanstack/react-query';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { settingsQuery } from '../queries.ts';
import { ServiceSettings } from './settings/service-settings.tsx';
import { SessionCard } from './settings/session-card.tsx';

export function SettingsPage() {
  const { data: settings, error } = useQuery(settingsQuery);
  return (
    <>
      <PageHeader
        title="Settings"
        subtitle={
          <>
            The settings of the service. The operator sets them with environment variables;{' '}
            <code>fltr-webhooks config</code> prints all of them.
          </>
        }
      />
      <div className="stack">
        <Problem error={error} />
        <div className="columns">
          <SessionCard />
          {settings && <ServiceSettings settings={settings} />}
        </div>
        {!settings && error === null && <div className="card placeholder" aria-busy="true" />}
      </div>
    </>
  );
}
