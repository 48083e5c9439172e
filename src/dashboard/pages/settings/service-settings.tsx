import type { Settings } from '../../../contracts/settings.ts';
import { span } from '../../components/time.tsx';
import { formatCount, formatShare } from '../../format.ts';
import { SettingsGroup } from './settings-group.tsx';

const days = (count: number, zero: string): string =>
  count === 0 ? zero : count === 1 ? '1 day' : `${formatCount(count)} days`;
const perMinute = (count: number): string =>
  count === 0 ? 'no limit' : `${formatCount(count)} calls a minute for each key`;
const schedule = (seconds: readonly number[]): string =>
  seconds.length === 0 ? 'none' : `${seconds.length}, after ${seconds.map(span).join(', ')}`;

export function ServiceSettings({ settings }: { settings: Settings }) {
  const { auto_disable: disable, temporal_ui_url: temporalUiUrl } = settings;
  return (
    <>
      <SettingsGroup
        title="Service"
        facts={[
          ['Environment', settings.environment],
          ['Version', settings.version],
          [
            'Temporal',
            temporalUiUrl === null ? <NoWebUi key="none" /> : <WebUi key="ui" url={temporalUiUrl} />,
          ],
          [
            'API reference',
            <a key="docs" href="/docs">
              The calls, one by one
            </a>,
          ],
        ]}
      />
      <SettingsGroup
        title="Attempts"
        facts={[
          ['Time limit', `${formatCount(settings.attempt_timeout_ms)} ms for each`],
          ['Retries', schedule(settings.retry_schedule_seconds)],
          [
            'Hourly cap',
            settings.deliveries_per_hour === null
              ? 'none'
              : `${formatCount(settings.deliveries_per_hour)} attempts of each webhook in any hour; the rest waits its turn`,
          ],
          [
            'Shared workflows',
            settings.deliveries_per_workflow <= 1
              ? 'none: each delivery has a workflow of its own from its first attempt'
              : `In a burst, up to ${settings.deliveries_per_workflow} deliveries share one for their first attempt`,
          ],
        ]}
      />
      <SettingsGroup
        title="Webhooks"
        facts={[
          ['At most', `${formatCount(settings.max_webhooks)} an account`],
          [
            'Disabled automatically',
            `when more than ${formatShare(disable.failure_rate)} of what ended in 24 hours failed, given ${disable.min_deliveries} that ended; looked at every ${span(disable.every_seconds)}`,
          ],
          ['Held deliveries', `kept ${formatCount(settings.hold_hours)} hours while a webhook is not active`],
        ]}
      />
      <SettingsGroup
        title="Limits and retention"
        facts={[
          ['API', perMinute(settings.api_requests_per_minute)],
          ['Publishing', perMinute(settings.publish_requests_per_minute)],
          [
            'Bodies and answers',
            `kept ${days(settings.payload_retention_days, 'as long as their deliveries')}`,
          ],
          ['Deliveries and events', `kept ${days(settings.retention_days, 'for ever')}`],
        ]}
      />
    </>
  );
}

function WebUi({ url }: { url: string }) {
  return (
    <a href={url} target="_blank" rel="noreferrer">
      Open the Temporal Web UI<span className="visually-hidden"> (new tab)</span>
    </a>
  );
}

function NoWebUi() {
  return (
    <span className="muted">
      Its Web UI&apos;s address is not known. Whoever runs the service sets <code>TEMPORAL_UI_URL</code>.
    </span>
  );
}
