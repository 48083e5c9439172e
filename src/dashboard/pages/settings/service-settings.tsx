import type { Settings } from '../../../contracts/settings.ts';
import { span } from '../../components/time.tsx';
import { formatCount, formatShare } from '../../format.ts';
import { SettingsGroup } from './settings-group.tsx';

const days = (count: number, zero: string): string =>
  count === 0 ? zero : count === 1 ? '1 day' : `${formatCount(count)} days`;
const perMinute = (count: number): string =>
  count === 0 ? 'no limit' : `${formatCount(count)} requests per minute and key`;
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
              Open the API reference
            </a>,
          ],
        ]}
      />
      <SettingsGroup
        title="Attempts"
        facts={[
          ['Time limit', `${formatCount(settings.attempt_timeout_ms)} ms per attempt`],
          ['Retries', schedule(settings.retry_schedule_seconds)],
          [
            'Hourly cap',
            settings.deliveries_per_hour === null
              ? 'none'
              : `${formatCount(settings.deliveries_per_hour)} attempts per webhook in any hour; further attempts are deferred`,
          ],
          [
            'Groups',
            settings.deliveries_per_workflow <= 1
              ? 'none: each delivery has its own workflow from the first attempt'
              : `in a burst, up to ${settings.deliveries_per_workflow} deliveries share a workflow for their first attempt`,
          ],
        ]}
      />
      <SettingsGroup
        title="Webhooks"
        facts={[
          ['Limit', `${formatCount(settings.max_webhooks)} per account`],
          [
            'Disabled automatically',
            `above ${formatShare(disable.failure_rate)} failures in 24 hours (minimum ${disable.min_deliveries} deliveries), checked every ${span(disable.every_seconds)}`,
          ],
          [
            'Held deliveries',
            `kept for ${formatCount(settings.hold_hours)} hours while a webhook is not active`,
          ],
        ]}
      />
      <SettingsGroup
        title="Limits and retention"
        facts={[
          ['API', perMinute(settings.api_requests_per_minute)],
          ['Publishing', perMinute(settings.publish_requests_per_minute)],
          [
            'Payloads and responses',
            `kept ${days(settings.payload_retention_days, 'as long as their deliveries')}`,
          ],
          ['Deliveries and events', `kept ${days(settings.retention_days, 'forever')}`],
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
      No link: <code>TEMPORAL_UI_URL</code> is not set.
    </span>
  );
}
