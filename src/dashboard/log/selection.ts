import type { z } from 'zod';
import type { DeliverySummary } from '../../contracts/delivery.ts';
import { statusesOf, type actOnDeliveriesSchema, type DeliveryAction } from '../../contracts/operation.ts';
import { toDeliveryQuery, type LogSearch } from '../log-search.ts';

/** Rows one by one, or everything that matches the filters and was accepted before a time. */
export type Selection =
  { kind: 'rows'; ids: ReadonlySet<string> } | { kind: 'all'; until: string; since: string };

export const nothing: Selection = { kind: 'rows', ids: new Set() };

export const isSelected = (selection: Selection, id: string): boolean =>
  selection.kind === 'all' || selection.ids.has(id);

type Row = Pick<DeliverySummary, 'id' | 'status' | 'created_at' | 'blocks_line'>;

/** Selects or deselects some rows. After a selection of everything, the loaded rows are selected one by one. */
export function setRows(
  selection: Selection,
  loaded: readonly Row[],
  ids: readonly string[],
  isOn: boolean,
): Selection {
  const next = new Set(selection.kind === 'all' ? loaded.map(({ id }) => id) : selection.ids);
  for (const id of ids) {
    if (isOn) next.add(id);
    else next.delete(id);
  }
  return { kind: 'rows', ids: next };
}

/** The ids from one row to another, both included. */
export function idsBetween(rows: readonly Row[], from: string, to: string): string[] {
  const ends = [from, to].map((id) => rows.findIndex((row) => row.id === id));
  if (ends.includes(-1)) return [to];
  return rows.slice(Math.min(...ends), Math.max(...ends) + 1).map(({ id }) => id);
}

/**
 * Everything that matches, until now. The newest row is included, also where the clock of this computer is behind.
 *
 * @param now in milliseconds
 */
export function selectAll(search: LogSearch, rows: readonly Row[], now: number): Selection {
  const newest = rows[0] === undefined ? 0 : Date.parse(rows[0].created_at) + 1;
  const { since, until } = toDeliveryQuery(search);
  const end = new Date(Math.max(now, newest)).toISOString();
  return {
    kind: 'all',
    // A period ends now, so its beginning is fixed, too.
    since: since ?? new Date(0).toISOString(),
    until: until !== undefined && Date.parse(until) < Date.parse(end) ? until : end,
  };
}

/** The selection as a filter of the log. */
export function toSelectedQuery(search: LogSearch, selection: Selection & { kind: 'all' }) {
  const { since, until } = selection;
  return { ...toDeliveryQuery(search), since, until };
}

type Filter = z.input<typeof actOnDeliveriesSchema>['filter'];
/** The deliveries of an action, or why it is not possible. */
export type Target = { filter: Filter; leftOut: number } | { reason: string };

/** Most ids of one operation. */
export const maxRows = 1000;
const verbs: Record<DeliveryAction, string> = {
  retry: 'retried',
  cancel: 'canceled',
  reschedule: 'rescheduled',
  resend: 'resent',
};
const list = new Intl.ListFormat('en-GB', { type: 'conjunction' });

/** @param rows those that are loaded */
export function targetOf(
  action: DeliveryAction,
  selection: Selection,
  rows: readonly Row[],
  search: LogSearch,
): Target {
  const possible = statusesOf[action];
  const onlyThese = `Only ${list.format(possible)} deliveries can be ${verbs[action]}.`;
  if (selection.kind === 'all') {
    // Of those that block their order, all can be canceled.
    const isPossible = action === 'cancel' && search.blocks_line === true;
    if (search.status !== undefined && !isPossible && !possible.includes(search.status))
      return { reason: onlyThese };
    return { filter: toSelectedQuery(search, selection), leftOut: 0 };
  }
  const chosen = rows.filter(({ id }) => selection.ids.has(id));
  const isPossible = ({ status, blocks_line: blocksLine }: Row) =>
    possible.includes(status) || (action === 'cancel' && blocksLine !== null);
  const ids = chosen.filter(isPossible).map(({ id }) => id);
  if (ids.length === 0) return { reason: onlyThese };
  if (ids.length > maxRows)
    return { reason: `At most ${maxRows} deliveries can be selected one by one. Select all that match.` };
  return { filter: { ids }, leftOut: chosen.length - ids.length };
}
