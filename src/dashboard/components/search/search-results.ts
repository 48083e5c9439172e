import { maxFound, type Found } from '../../../contracts/search.ts';
import { withoutScheme } from '../../format.ts';

/** A search result as the list shows it. */
export type Result = {
  /** Unique in the list. */
  key: string;
  title: string;
  details: string;
  /** When it began; null: it has no time to show. */
  at: string | null;
  path: string;
  /** The part of that page. */
  hash?: string;
};
type Group = { name: string; results: Result[] };

const groupNames: Record<Found['type'], string> = {
  webhook: 'Webhooks',
  event: 'Events',
  delivery: 'Deliveries',
  attempt: 'Attempts',
  operation: 'Operations',
};

/**
 * The results, by kind. The kinds are in the order of their best result, and the results in the order of the API: what has
 * the id itself is first.
 *
 * @example groupsOf([{ type: 'event', id: 'evt_1', … }])[0].name // 'Events'
 */
export function groupsOf(found: readonly Found[]): Group[] {
  const groups = new Map<Found['type'], Result[]>();
  for (const each of found) groups.set(each.type, [...(groups.get(each.type) ?? []), toResult(each)]);
  return [...groups].map(([type, results]) => ({ name: groupNames[type], results }));
}

/**
 * The result that Enter opens before the list is shown: the only one, or the one with exactly this id. Null where the user has
 * to choose.
 */
export function bestOf(found: readonly Found[], text: string): Result | null {
  const [first] = found;
  if (first === undefined) return null;
  const isExact = first.id === text || (first.type === 'webhook' && first.external_id === text);
  return found.length === 1 || isExact ? toResult(first) : null;
}

export function countText(count: number): string {
  if (count === 0) return 'No results';
  if (count === 1) return '1 result';
  return count < maxFound ? `${count} results` : `First ${maxFound} results`;
}

function toResult(found: Found): Result {
  const { id } = found;
  const key = `${found.type} ${id}`;
  switch (found.type) {
    case 'webhook':
      return {
        key,
        title: withoutScheme(found.url),
        details: [found.external_id ?? id, found.active ? '' : 'not active'].filter(Boolean).join(' · '),
        at: null,
        path: `/webhooks/${id}`,
      };
    case 'event':
      return {
        key,
        title: found.event,
        details: id,
        at: found.created_at,
        path: `/events/${id}`,
      };
    case 'delivery':
      return {
        key,
        title: `${found.event} · ${found.status}`,
        details: id,
        at: found.created_at,
        path: `/log/${id}`,
      };
    case 'attempt':
      return {
        key,
        title: `Attempt ${found.number} · ${found.status_code ?? 'no response'}`,
        details: id,
        at: found.started_at,
        path: `/log/${found.delivery_id}`,
        hash: `attempt-${found.number}`,
      };
    case 'operation':
      return {
        key,
        title: `${actionNames[found.action]} · ${found.status}`,
        details: id,
        at: found.created_at,
        path: `/operations/${id}`,
      };
  }
}

const actionNames = {
  recover: 'Recovery',
  retry: 'Retry',
  cancel: 'Cancel',
  reschedule: 'Reschedule',
  resend: 'Resend',
} as const satisfies Record<Extract<Found, { type: 'operation' }>['action'], string>;
