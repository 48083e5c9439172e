import { operationalTypes, type OperationalType } from '../contracts/event-types.ts';

/** Operational events, which `*` does not include. */
export const operationalFilters: Record<OperationalType | 'webhook.*' | 'delivery.*', string> = {
  'webhook.*': 'All webhook events.',
  'webhook.disabled': 'A webhook was disabled automatically.',
  'webhook.warning': 'At least half of the deliveries to a webhook failed in 24 hours.',
  'webhook.down': 'No attempt of a webhook has succeeded for 5 minutes.',
  'webhook.recovered': 'An attempt of a webhook that was down has succeeded.',
  'webhook.secret_due': "A webhook's secret is older than 90 days.",
  'delivery.*': 'All delivery events.',
  'delivery.failed':
    'A delivery failed for good. More than ten failures of a webhook within a minute are reported as one event.',
};

const isOperational = (filter: string) => filter in operationalFilters;

/** The families that include a filter: of `order.item.added`, `order.item.*` and `order.*`. */
function widerOf(filter: string): string[] {
  const parts = filter.split('.');
  return parts.slice(1).map((_part, index) => `${parts.slice(0, index + 1).join('.')}.*`);
}

/** Types by their first part, in the order in which the parts first occur. */
export function familiesOf<Type extends { event: string }>(types: readonly Type[]) {
  const nameOf = ({ event }: Type) => event.split('.')[0] ?? '';
  return [...new Set(types.map(nameOf))].map((name) => ({
    name,
    filter: `${name}.*`,
    types: types.filter((type) => nameOf(type) === name),
  }));
}

/** Whether another selected filter includes this one. */
export function isCovered(selected: readonly string[], filter: string): boolean {
  const wider = isOperational(filter) ? widerOf(filter) : [...widerOf(filter), '*'];
  return wider.some((each) => each !== filter && selected.includes(each));
}

/** Selects a filter and drops those that it includes, or deselects it. */
export function toggleFilter(selected: readonly string[], filter: string): string[] {
  if (selected.includes(filter)) return selected.filter((each) => each !== filter);
  const next = [...selected, filter];
  return next.filter((each) => !isCovered(next, each));
}

/** Whether a webhook with these `events` is subscribed to a type. */
export const isSubscribed = (events: readonly string[], type: string): boolean =>
  events.includes(type) || isCovered(events, type);

/** The types to choose from, those of the service included. `chosen` may be one that is no longer defined. */
export const typesToChoose = (types: readonly { event: string }[], chosen: string): string[] => [
  ...new Set([...types.map(({ event }) => event), ...operationalTypes, ...(chosen === '' ? [] : [chosen])]),
];
