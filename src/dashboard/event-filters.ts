import { eventTypes, type OperationalType } from '../contracts/event-types.ts';
import type { eventFilters } from '../contracts/webhook.ts';

export type EventFilter = (typeof eventFilters)[number];

export const families = [
  { name: 'Documents', filter: 'document.*' },
  { name: 'Datasets', filter: 'dataset.*' },
] as const;

/** Events of the service itself: `*` does not name them. */
export const operationalFilters: Record<OperationalType | 'webhook.*' | 'delivery.*', string> = {
  'webhook.*': 'All about webhooks.',
  'webhook.disabled': 'A webhook was disabled automatically.',
  'webhook.warning': 'At least half of what a webhook was sent in 24 hours failed.',
  'webhook.secret_due': "A webhook's secret is older than 90 days.",
  'delivery.*': 'All about deliveries.',
  'delivery.failed': 'A delivery failed for good; more than ten of a webhook in a minute are one event.',
};

const familyOf = (filter: string) => `${filter.split('.')[0]}.*`;

export const typesOf = (family: string) => eventTypes.filter((type) => familyOf(type) === family);

/** Whether another one that is picked has it in itself. */
export function isCovered(picked: readonly string[], filter: string): boolean {
  const wider = filter in operationalFilters ? [familyOf(filter)] : [familyOf(filter), '*'];
  return wider.some((each) => each !== filter && picked.includes(each));
}

/** Picks a filter, and drops those that it has in itself; or no longer picks it. */
export function togglePick(picked: readonly EventFilter[], filter: EventFilter): EventFilter[] {
  if (picked.includes(filter)) return picked.filter((each) => each !== filter);
  const next = [...picked, filter];
  return next.filter((each) => !isCovered(next, each));
}

/** Whether a webhook with these `events` gets those of a type. */
export const isSubscribed = (events: readonly string[], type: string): boolean =>
  events.includes(type) || isCovered(events, type);
