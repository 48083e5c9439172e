import type { OperationalType } from '../contracts/event-types.ts';
import type { Webhook } from '../contracts/webhook.ts';
import { isSubscribed } from './event-filters.ts';
import { withoutScheme } from './format.ts';

type AlertReason = { types: readonly OperationalType[]; label: string; hint: string; short: string };

/** The reasons of alerts, in the order of the form. */
export const alertReasons: readonly AlertReason[] = [
  {
    types: ['webhook.disabled'],
    label: 'A webhook is disabled',
    hint: 'Too many of its deliveries failed, or its receiver is gone.',
    short: 'disabled',
  },
  {
    types: ['webhook.down', 'webhook.recovered'],
    label: 'A webhook is down or recovers',
    hint: 'No attempt has succeeded for 5 minutes; and, later, an attempt has succeeded again.',
    short: 'down or recovered',
  },
  {
    types: ['webhook.warning'],
    label: 'A webhook is failing',
    hint: 'At least half of its deliveries failed in 24 hours.',
    short: 'failing',
  },
  {
    types: ['webhook.secret_due'],
    label: 'A signing secret is old',
    hint: 'It is older than 90 days.',
    short: 'old secret',
  },
  {
    types: ['delivery.failed'],
    label: 'A delivery fails',
    hint: 'After its last retry. More than ten failures of a webhook within a minute are reported together.',
    short: 'failed delivery',
  },
];

/** The types of an alert that its `events` stand for. */
export const typesOf = (events: readonly string[]): OperationalType[] =>
  alertReasons.flatMap(({ types }) => types).filter((type) => isSubscribed(events, type));

/** Selects the types of a reason, or deselects them where all are selected. */
export function toggleReason(types: readonly OperationalType[], reason: AlertReason): OperationalType[] {
  const others = types.filter((type) => !reason.types.includes(type));
  return isChosen(types, reason) ? others : [...others, ...reason.types];
}

export const isChosen = (types: readonly OperationalType[], reason: AlertReason): boolean =>
  reason.types.every((type) => types.includes(type));

/** @example reasonsText(['webhook.*']) // 'disabled, down or recovered, failing, old secret' */
export function reasonsText(events: readonly string[]): string {
  const types = typesOf(events);
  return alertReasons
    .filter((reason) => reason.types.some((type) => types.includes(type)))
    .map(({ short }) => short)
    .join(', ');
}

export type AlertKind = 'slack' | 'email' | 'url';

export const kindOf = ({ format }: Pick<Webhook, 'format'>): AlertKind =>
  format === 'slack' || format === 'email' ? format : 'url';

const scheme = 'mailto:';

/** A URL as the form shows it. @example destinationOf('mailto:a@example.com,b@example.com') // 'a@example.com, b@example.com' */
export const destinationOf = (url: string): string =>
  url.startsWith(scheme) ? url.slice(scheme.length).replaceAll(',', ', ') : url;

/** @example urlIn('email', 'a@example.com, b@example.com') // 'mailto:a@example.com,b@example.com' */
export function urlIn(kind: AlertKind, text: string): string {
  if (kind !== 'email') return text.trim();
  const addresses = text.split(/[\s,;]+/).filter((address) => address !== '');
  return `${scheme}${addresses.join(',')}`;
}

const kindNames: Record<AlertKind, string> = { slack: 'Slack', email: 'E-mail', url: 'Webhook URL' };

/** @example targetText({ format: 'slack', url: 'https://hooks.slack.com/services/T1' }) // 'Slack: hooks.slack.com/services/T1' */
export const targetText = (alert: Pick<Webhook, 'format' | 'url'>): string =>
  `${kindNames[kindOf(alert)]}: ${withoutScheme(destinationOf(alert.url))}`;
