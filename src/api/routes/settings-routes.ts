import { settingsSchema, type Settings } from '../../contracts/settings.ts';
import { readAccountLimits, type AccountLimits } from '../../db/account-limits.ts';
import type { Deps } from '../../deps.ts';
import { disableAbovePercent } from '../../domain/auto-disable.ts';
import { packageVersion } from '../../package-root.ts';
import { accountOf } from '../auth.ts';
import { routesWithTag } from '../route.ts';

/** Of an account without limits of its own. */
export const defaultLimits = (config: Deps['config']): AccountLimits => ({
  maxWebhooks: config.FLTR_MAX_WEBHOOKS_PER_ACCOUNT,
  deliveriesPerHour: config.FLTR_DELIVERIES_PER_HOUR,
});

const defineRoute = routesWithTag('Settings');

function toSettings(
  { config, mailer, temporalUiUrl }: Deps,
  accountId: string,
  { maxWebhooks, deliveriesPerHour: cap }: AccountLimits,
): Settings {
  return {
    environment: config.FLTR_ENV,
    version: packageVersion,
    account_id: accountId,
    header_prefix: config.FLTR_HEADER_PREFIX,
    user_agent: config.FLTR_USER_AGENT,
    signatures: config.FLTR_SIGNATURES,
    retry_schedule_seconds: config.FLTR_RETRY_SCHEDULE_SECONDS,
    attempt_timeout_ms: config.FLTR_ATTEMPT_TIMEOUT_MS,
    deliveries_per_hour: cap === 0 ? null : cap,
    max_webhooks: maxWebhooks,
    hold_hours: config.FLTR_HOLD_HOURS,
    auto_disable: {
      every_seconds: config.FLTR_AUTO_DISABLE_EVERY_SECONDS,
      min_deliveries: config.FLTR_AUTO_DISABLE_MIN_DELIVERIES,
      failure_rate: disableAbovePercent / 100,
    },
    payload_retention_days: config.FLTR_PAYLOAD_RETENTION_DAYS,
    retention_days: config.FLTR_RETENTION_DAYS,
    deliveries_per_workflow: config.FLTR_DELIVERIES_PER_WORKFLOW,
    api_requests_per_minute: config.FLTR_API_REQUESTS_PER_MINUTE,
    publish_requests_per_minute: config.FLTR_PUBLISH_REQUESTS_PER_MINUTE,
    email_alerts: mailer !== null,
    temporal_ui_url: temporalUiUrl,
  };
}

export const settingsRoutes = [
  defineRoute('get', '/v1/settings', 'getSettings', {
    summary: 'Get the limits and times that the service uses for the account',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The settings', schema: settingsSchema } },
    async handle({ deps, key }) {
      const accountId = accountOf(key);
      const limits = await readAccountLimits(deps.pool, accountId, defaultLimits(deps.config));
      return { status: 200, body: toSettings(deps, accountId, limits) };
    },
  }),
];
