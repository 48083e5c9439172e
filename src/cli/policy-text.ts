import type { Webhook } from '../contracts/webhook.ts';

/** The policy of a webhook, as far as it is not the default, and its health. */
export function policyFields(webhook: Webhook): Record<string, string | number | undefined> {
  const { timeout_ms: timeout, headers, auth, filter, rate_limit: rate, signatures, paused } = webhook;
  const names = Object.keys(headers);
  return {
    health: healthText(webhook.health),
    paused: paused ? pausedText(paused) : undefined,
    retry: retryText(webhook.retry),
    timeout: timeout === null ? undefined : `${timeout} ms`,
    headers: names.length === 0 ? undefined : `${names.join(', ')} (values are not shown)`,
    auth: auth === null ? undefined : authText(auth),
    filter: filter === null ? undefined : JSON.stringify(filter),
    'rate limit': rate === null ? undefined : `${rate.attempts} attempts in ${rate.seconds} s`,
    'max concurrent': webhook.max_concurrent ?? undefined,
    signatures: signatures.includes('v1a') ? signatures.join(', ') : undefined,
    'probe when down': webhook.probe_when_down ? 'yes' : undefined,
    ordering: webhook.ordering ?? undefined,
    'on failure': webhook.ordering === null ? undefined : webhook.on_failure,
    'blocked lines': webhook.blocked_lines || undefined,
  };
}

function healthText({ state, since, next_probe_at: next }: Webhook['health']): string {
  const parts = [since === null ? state : `${state} since ${since}`];
  if (next !== null) parts.push(`next probe at ${next}`);
  return parts.join(', ');
}

function pausedText({ at, until, reason }: NonNullable<Webhook['paused']>): string {
  const parts = [`since ${at}`];
  if (until !== null) parts.push(`until ${until}`);
  if (reason !== null) parts.push(reason);
  return parts.join(', ');
}

/** @example retryText({ preset: 'day', also: ['429'] }) // 'day, also 429' */
function retryText({ preset, schedule_seconds: waits, also, jitter, on_gone: onGone }: Webhook['retry']) {
  const parts = [preset ?? (waits?.length ? `after ${waits.join(', ')} s` : 'no retries')];
  if (also?.length) parts.push(`also ${also.join(', ')}`);
  if (jitter) parts.push(`jitter ${jitter}`);
  if (onGone === 'disable') parts.push('410 disables it');
  const text = parts.join(', ');
  return text === 'page' ? undefined : text;
}

function authText({ type, ...fields }: NonNullable<Webhook['auth']>): string {
  return [type, ...Object.entries(fields).map(([name, value]) => `${name} ${value}`)].join(', ');
}
