import type { Webhook } from '../../contracts/webhook.ts';
import type { Ordering } from '../../contracts/webhook-policy.ts';
import type { WebhookFilter } from '../../contracts/filter.ts';
import { formatCount } from '../format.ts';
import { filterDraftOf, filterOps } from './filter-draft.ts';
import type { AuthType, RetryPreset } from './policy-draft.ts';
import { waitsText } from './waits.ts';

export const presetLabels: Record<RetryPreset, string> = {
  page: 'As the service',
  day: 'For a day',
  three_days: 'For three days',
  week: 'For a week',
  none: 'No retries',
};

export const authTypes: Record<AuthType | 'none', string> = {
  none: 'Nothing',
  basic: 'Basic: user name and password',
  bearer: 'Bearer: a token',
  oauth2: 'OAuth 2: client credentials',
  mtls: 'mTLS: a client certificate',
};

type Auth = NonNullable<Webhook['auth']>;

/** Its fields that are not secret. @example shownAuthText({ type: 'basic', username: 'acme' }) // 'User name: acme' */
export function shownAuthText({ username, token_url: url, client_id: id, scope, audience }: Auth): string {
  const parts = {
    'User name': username,
    'Token server': url,
    'Client id': id,
    Scope: scope,
    Audience: audience,
  };
  return Object.entries(parts)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
    .join(', ');
}

/** A retry policy in words; null: the service's. */
export function retryText({ retry }: Pick<Webhook, 'retry'>): string | null {
  const { preset, schedule_seconds: waits, also, jitter, on_gone: onGone } = retry;
  const parts = [
    preset === undefined
      ? waits?.length
        ? `After ${waitsText(waits)}`
        : presetLabels.none
      : presetLabels[preset],
  ];
  if (also?.length) parts.push(`also after ${also.join(', ')}`);
  if (jitter) parts.push(`jitter ${Math.round(jitter * 1000) / 10}%`);
  if (onGone === 'disable') parts.push('410 disables the webhook');
  return parts.length === 1 && preset === 'page' ? null : parts.join(', ');
}

/** A filter's conditions in words; null: it is more than a list of conditions. */
export function filterText(filter: WebhookFilter): { join: string; conditions: string[] } | null {
  const { kind, join, conditions } = filterDraftOf(filter);
  if (kind !== 'list') return null;
  return {
    join: join === 'all' ? 'all of' : 'at least one of',
    conditions: conditions.map(({ path, op, value }) =>
      op === 'exists'
        ? `${path} ${value === 'false' ? 'does not exist' : 'exists'}`
        : `${path} ${filterOps[op]} ${value}`,
    ),
  };
}

export const rateText = ({ attempts, seconds }: NonNullable<Webhook['rate_limit']>): string =>
  `${attempts === 1 ? '1 attempt' : `${formatCount(attempts)} attempts`} in ${seconds === 1 ? 'a second' : `${formatCount(seconds)} s`}`;

export const orderTexts: Record<Ordering, string> = {
  by_key: 'In order, by order key',
  all: 'In order, all of them',
};

/** The parts of a webhook's policy that are not the default, by name. */
export function policyNames(webhook: Webhook): string[] {
  const isSet = {
    retries: retryText(webhook) !== null,
    'time limit': webhook.timeout_ms !== null,
    headers: Object.keys(webhook.headers).length > 0,
    authentication: webhook.auth !== null,
    filter: webhook.filter !== null,
    'rate limit': webhook.rate_limit !== null,
    'requests at once': webhook.max_concurrent !== null,
    signatures: webhook.signatures.includes('v1a'),
    probe: webhook.probe_when_down,
    order: webhook.ordering !== null,
  };
  return Object.entries(isSet).flatMap(([name, is]) => (is ? [name] : []));
}
