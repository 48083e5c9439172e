import { eventTypes, type OperationalType } from '../contracts/event-types.ts';
import type { eventFilters } from '../contracts/webhook.ts';

export type EventFilter = (typeof eventFilters)[number];

export const families = [
  { name: 'Documents', filter: 'document.*' },
  { name: 'Datasets', filter: 'dataset.*' },
] as const;

/** Operational events, which `*` does not include. */
export const operationalFilters: Record<OperationalType | 'webhook.*' | 'delivery.*', string> = {
  'webhook.*': 'All webhook events.',
  'webhook.disabled': 'A webhook was disabled automatically.',
  'webhook.warning': 'At least half of the deliveries to a webhook failed in 24 hours.',
  'webhook.secret_due': "A webhook's secret is older than 90 days.",
  'delivery.*': 'All delivery events.',
  'delivery.failed':
    'A delivery failed for good. More than ten failures of a webhook within a minute are reported as one event.',
};

const familyOf = (filter: string) => `${filter.split('.')[0]}.*`;

export const typesOf = (family: string) => eventTypes.filter((type) => familyOf(type) === family);

/** Whether another selected filter includes this one. */
export function isCovered(selected: readonly string[], filter: string): boolean {
  const wider = filter in operationalFilters ? [familyOf(filter)] : [familyOf(filter), '*'];
  return wider.some((each) => each !== filter && selected.includes(each));
}

/** Selects a filter and drops those that it includes, or deselects it. */
export function toggleFilter(selected: readonly EventFilter[], filter: EventFilter): EventFilter[] {
  if (selected.includes(filter)) return selected.filter((each) => each !== filter);
  const next = [...selected, filter];
  return next.filter((each) => !isCovered(next, each));
}

/** Whether a webhook with these `events` is subscribed to a type. */
export const isSubscribed = (events: readonly string[], type: string): boolean =>
  events.includes(type) || isCovered(events, type);
