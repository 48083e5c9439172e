import type { FilterCondition, FilterScalar, WebhookFilter } from '../../contracts/filter.ts';
import type { FormFaults } from './form-faults.ts';

export const filterOps = {
  eq: 'is',
  ne: 'is not',
  in: 'is one of',
  not_in: 'is none of',
  gt: 'is more than',
  gte: 'is at least',
  lt: 'is less than',
  lte: 'is at most',
  prefix: 'begins with',
  suffix: 'ends with',
  exists: 'exists',
} as const;
export type FilterOp = keyof typeof filterOps;

export type ConditionDraft = { path: string; op: FilterOp; value: string };
/** `list` is for the builder, `text` is any filter as JSON; both are kept while the other one is shown. */
export type FilterDraft = {
  kind: 'none' | 'list' | 'json';
  join: 'all' | 'any';
  conditions: ConditionDraft[];
  text: string;
};

export const newCondition: ConditionDraft = { path: '/data/', op: 'eq', value: '' };
export const noFilter: FilterDraft = { kind: 'none', join: 'all', conditions: [newCondition], text: '' };

/** A filter as the form shows it: in the builder if it is a list of conditions, otherwise as JSON. */
export function filterDraftOf(filter: WebhookFilter | null): FilterDraft {
  if (filter === null) return noFilter;
  const text = JSON.stringify(filter, null, 2);
  const list = listIn(filter);
  return list === undefined ? { ...noFilter, kind: 'json', text } : { ...list, kind: 'list', text };
}

function listIn(filter: WebhookFilter): Pick<FilterDraft, 'join' | 'conditions'> | undefined {
  const members = filter as Record<string, unknown>;
  const [join, ...others] = Object.keys(members);
  const isJoin = (join === 'all' || join === 'any') && others.length === 0;
  const list: unknown = isJoin ? members[join] : [members];
  if (!Array.isArray(list) || list.length === 0) return undefined;
  const conditions = list.map(conditionIn);
  if (!conditions.every((each) => each !== undefined)) return undefined;
  return { join: isJoin ? join : 'all', conditions };
}

function conditionIn(part: unknown): ConditionDraft | undefined {
  if (typeof part !== 'object' || part === null) return undefined;
  const { path, op, value, ...others } = part as Record<string, unknown>;
  if (typeof path !== 'string' || typeof op !== 'string' || !Object.hasOwn(filterOps, op)) return undefined;
  if (
    Object.keys(others).length > 0 ||
    (typeof value === 'object' && value !== null && !Array.isArray(value))
  )
    return undefined;
  const text = Array.isArray(value) ? value.map(valueText).join(', ') : valueText(value);
  // In the list of values a comma parts them.
  if (Array.isArray(value) && value.some((each) => String(each).includes(','))) return undefined;
  return { path, op: op as FilterOp, value: text };
}

/** A text that would be read as something else is in quotes. */
function valueText(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' && valueIn(value) === value ? value : JSON.stringify(value);
}

/**
 * A value as it is typed: numbers, `true`, `false`, `null` and text in quotes as in JSON, everything else as text.
 *
 * @example valueIn('42') // 42
 * @example valueIn('"42"') // '42'
 * @example valueIn('paid') // 'paid'
 */
export function valueIn(text: string): FilterScalar {
  const trimmed = text.trim();
  try {
    const value: unknown = JSON.parse(trimmed);
    if (
      value === null ||
      typeof value === 'string' ||
      typeof value === 'number' ||
      typeof value === 'boolean'
    )
      return value;
  } catch {
    // Not JSON: a text.
  }
  return trimmed;
}

/** The filter that a draft means; null: none. A text that is no JSON object becomes a fault. */
export function filterIn(draft: FilterDraft, faults: FormFaults): WebhookFilter | null {
  switch (draft.kind) {
    case 'none':
      return null;
    case 'list':
      return draft.join === 'all'
        ? { all: draft.conditions.map(conditionOf) }
        : { any: draft.conditions.map(conditionOf) };
    case 'json':
      return filterInText(draft.text, faults);
  }
}

function conditionOf({ path, op, value }: ConditionDraft): FilterCondition {
  switch (op) {
    case 'in':
    case 'not_in':
      return { path, op, value: value.split(',').map(valueIn) };
    case 'exists':
      return { path, op, value: value !== 'false' };
    case 'prefix':
    case 'suffix':
      return { path, op, value: String(valueIn(value)) };
    case 'eq':
    case 'ne':
      return { path, op, value: valueIn(value) };
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      // The API says so where it is neither text nor a number.
      return { path, op, value: valueIn(value) as string | number };
  }
}

function filterInText(text: string, faults: FormFaults): WebhookFilter | null {
  try {
    const filter: unknown = JSON.parse(text);
    if (typeof filter === 'object' && filter !== null && !Array.isArray(filter))
      return filter as WebhookFilter;
    faults.push({ pointer: '/filter', message: 'Write a JSON object, such as {"all": […]}.' });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    faults.push({ pointer: '/filter', message: `Not valid JSON: ${why}` });
  }
  return null;
}

/** The draft in another form, with the same meaning. */
export function shownAs(draft: FilterDraft, kind: FilterDraft['kind']): FilterDraft {
  if (kind === draft.kind) return draft;
  if (kind === 'json' && draft.kind === 'list')
    return { ...draft, kind, text: JSON.stringify(filterIn(draft, []), null, 2) };
  const filter = kind === 'list' && draft.kind === 'json' ? filterInText(draft.text, []) : null;
  return { ...draft, ...(filter === null ? undefined : listIn(filter)), kind };
}

/** The JSON pointers to the values of examples, of which the conditions are made. */
export function pathsOf(examples: readonly unknown[]): string[] {
  const paths = new Set<string>(['/event', '/labels']);
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) {
      paths.add(path);
      return;
    }
    if (Array.isArray(value)) {
      paths.add(path);
      return;
    }
    for (const [name, member] of Object.entries(value))
      visit(member, `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  };
  for (const example of examples) visit(example, '/data');
  return [...paths];
}
