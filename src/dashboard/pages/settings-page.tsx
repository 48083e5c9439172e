import { useQuery } from '@tanstack/react-query';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { settingsQuery } from '../queries.ts';
import { ServiceSettings } from './settings/service-settings.tsx';
import { SessionCard } from './settings/session-card.tsx';

/** What the service runs with. It is set where the service is started, so nothing here can be changed. */
export function SettingsPage() {
  const { data: settings, error } = useQuery(settingsQuery);
  return (
    <>
      <PageHeader
        title="Settings"
        subtitle={
          <>
            What the service runs with. Whoever runs it sets them by its environment;{' '}
            <code>fltr-webhooks config</code> prints them all.
          </>
        }
      />
      <div className="stack">
        <Problem error={error} />
        <div className="columns">
          <SessionCard />
          {settings && <ServiceSettings settings={settings} />}
        </div>
        {!settings && error === null && <div className="card room" aria-busy="true" />}
      </div>
    </>
  );
}
