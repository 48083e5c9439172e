import type { FilterCondition, FilterScalar, WebhookFilter } from '../contracts/filter.ts';
import { compareByCodePoint, createListValues, type ListValues } from './list-values.ts';

/** The parts of an event that a filter reads. `data` is called at most once, and only for a condition on it. */
export type FilteredEvent = { event: string; labels: readonly string[]; data: () => unknown };

/** The value at a path; `list`: it is an array, and the condition is on its elements. */
type Found = { exists: boolean; value: unknown; list: ListValues | null };

/** The values of one event. Filters share it, because many of them have the same paths. */
export type EventValues = { at(path: string): Found };

/** The condition that an event does not meet: a single one, an `any` of which none holds, or a `not`. `pointer`: where it stands in the filter. */
export type FailedCondition = { condition: WebhookFilter; pointer: string };

/** Finds the first condition that an event does not meet; null: it meets the filter. */
export type FilterCheck = (values: EventValues) => FailedCondition | null;

/**
 * A filter as a function that finds the first condition that an event does not meet; null: the event passes.
 *
 * - A path that leads nowhere meets no condition but `ne`, `not_in` and `exists: false`.
 * - A path that leads to an array meets a condition where one of its elements does; `ne` and `not_in` are the opposites of
 *   `eq` and `in`, so there no element may be equal. `exists` is about the array itself.
 * - Values of different types are never equal, and none is less than the other. Text is compared by code point.
 * - Numbers are compared as doubles. A filter holds none beyond 2^53 - 1, so no two whole numbers are confused.
 *
 * The filter must be valid for `filterSchema`. It throws nothing.
 *
 * @example
 *   const check = compileFilter({ path: '/data/amount', op: 'gte', value: 100 });
 *   check(valuesOf({ event: 'order.paid', labels: [], data: () => ({ amount: 120 }) })) // null
 */
export function compileFilter(filter: WebhookFilter, pointer = ''): FilterCheck {
  const failed: FailedCondition = { condition: filter, pointer };
  if ('all' in filter) {
    const checks = filter.all.map((part, index) => compileFilter(part, `${pointer}/all/${index}`));
    return (values) => {
      for (const check of checks) {
        const failure = check(values);
        if (failure) return failure;
      }
      return null;
    };
  }
  if ('any' in filter) {
    const checks = filter.any.map((part, index) => compileFilter(part, `${pointer}/any/${index}`));
    return (values) => {
      let failure: FailedCondition | null = null;
      for (const check of checks) if (!(failure = check(values))) return null;
      return checks.length === 1 ? failure : failed;
    };
  }
  if ('not' in filter) {
    const check = compileFilter(filter.not, `${pointer}/not`);
    return (values) => (check(values) ? null : failed);
  }
  const { path } = filter;
  const holds = compileCondition(filter);
  return (values) => (holds(values.at(path)) ? null : failed);
}

function compileCondition(condition: FilterCondition): (found: Found) => boolean {
  switch (condition.op) {
    case 'eq':
      return isOneOf([condition.value]);
    case 'ne':
      return isNot(isOneOf([condition.value]));
    case 'in':
      return isOneOf(condition.value);
    case 'not_in':
      return isNot(isOneOf(condition.value));
    case 'gt':
      return compares(condition.value, 'greatest', (order) => order > 0);
    case 'gte':
      return compares(condition.value, 'greatest', (order) => order >= 0);
    case 'lt':
      return compares(condition.value, 'least', (order) => order < 0);
    case 'lte':
      return compares(condition.value, 'least', (order) => order <= 0);
    case 'prefix': {
      const { value } = condition;
      return (found) =>
        found.list ? found.list.hasPrefix(value) : isText(found.value) && found.value.startsWith(value);
    }
    case 'suffix': {
      const { value } = condition;
      return (found) =>
        found.list ? found.list.hasSuffix(value) : isText(found.value) && found.value.endsWith(value);
    }
    case 'exists': {
      const { value: wanted = true } = condition;
      return ({ exists }) => exists === wanted;
    }
  }
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isNot = (holds: (found: Found) => boolean) => (found: Found) => !holds(found);

function isOneOf(wanted: readonly FilterScalar[]): (found: Found) => boolean {
  const [first] = wanted;
  const set = new Set<unknown>(wanted);
  // A path that leads nowhere has the value undefined, which is not in the set.
  if (set.size === 1) return ({ list, value }) => (list ? list.has(first) : value === first);
  return ({ list, value }) => (list ? wanted.some((each) => list.has(each)) : set.has(value));
}

/** Of an array, only its greatest or least value is compared: if any element meets the condition, that one does. */
function compares(
  wanted: string | number,
  which: 'greatest' | 'least',
  holds: (order: number) => boolean,
): (found: Found) => boolean {
  if (isText(wanted))
    return ({ list, value: own }) => {
      const value = list ? list[which]('string') : own;
      return isText(value) && holds(compareByCodePoint(value, wanted));
    };
  return ({ list, value: own }) => {
    const value = list ? list[which]('number') : own;
    return typeof value === 'number' && holds(value - wanted);
  };
}

const nothing: Found = { exists: false, value: undefined, list: null };

/** The values of an event by path, each looked up once. */
export function valuesOf(event: FilteredEvent): EventValues {
  const known = new Map<string, Found>();
  let data: { value: unknown } | null = null;
  function startOf(name: string | undefined): unknown {
    if (name === 'event') return event.event;
    return name === 'labels' ? event.labels : (data ??= { value: event.data() }).value;
  }
  function look(path: string): Found {
    const [first, ...names] = partsOf(path);
    let value = startOf(first);
    for (const name of names) {
      if (Array.isArray(value) ? !isPosition.test(name) : typeof value !== 'object' || value === null)
        return nothing;
      if (!Object.hasOwn(value as object, name)) return nothing;
      value = (value as Record<string, unknown>)[name];
    }
    return { exists: true, value, list: Array.isArray(value) ? createListValues(value) : null };
  }
  return {
    at(path) {
      let found = known.get(path);
      if (!found) known.set(path, (found = look(path)));
      return found;
    },
  };
}

const isPosition = /^(0|[1-9]\d*)$/;

/**
 * The names in a JSON pointer (RFC 6901).
 *
 * @example partsOf('/data/a~1b/0') // ['data', 'a/b', '0']
 */
function partsOf(pointer: string): string[] {
  const parts = pointer.split('/').slice(1);
  return pointer.includes('~')
    ? parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    : parts;
}

/**
 * Why an event does not pass, in words.
 *
 * @example describeFailure(failed, values) // 'The filter requires /data/amount to be at least 100. It is 40.'
 */
export function describeFailure({ condition }: FailedCondition, values: EventValues): string {
  if ('not' in condition) return 'The filter requires that the conditions under `not` do not hold. They do.';
  if ('any' in condition)
    return `The filter requires one of ${condition.any.length} conditions under \`any\`. None holds.`;
  if ('all' in condition) return 'The filter requires all conditions under `all`.';
  return `The filter requires ${condition.path} ${requirement(condition)}. ${actual(values.at(condition.path))}`;
}

function requirement(condition: FilterCondition): string {
  switch (condition.op) {
    case 'eq':
      return `to be ${shown(condition.value)}`;
    case 'ne':
      return `not to be ${shown(condition.value)}`;
    case 'in':
      return `to be one of ${shownList(condition.value)}`;
    case 'not_in':
      return `to be none of ${shownList(condition.value)}`;
    case 'gt':
      return `to be greater than ${shown(condition.value)}`;
    case 'gte':
      return `to be at least ${shown(condition.value)}`;
    case 'lt':
      return `to be less than ${shown(condition.value)}`;
    case 'lte':
      return `to be at most ${shown(condition.value)}`;
    case 'prefix':
      return `to begin with ${shown(condition.value)}`;
    case 'suffix':
      return `to end with ${shown(condition.value)}`;
    case 'exists':
      return condition.value === false ? 'to be missing' : 'to exist';
  }
}

function actual({ exists, value, list }: Found): string {
  if (!exists) return 'It is missing.';
  if (list) return `It is a list of ${list.length}.`;
  return typeof value === 'object' && value !== null ? 'It is an object.' : `It is ${shown(value)}.`;
}

const maxShownLength = 100;
const maxShownValues = 5;

function shown(value: unknown): string {
  const text = isText(value) && value.length > maxShownLength ? `${value.slice(0, maxShownLength)}…` : value;
  return JSON.stringify(text);
}

function shownList(values: readonly unknown[]): string {
  const more = values.length > maxShownValues ? ', …' : '';
  return `${values.slice(0, maxShownValues).map(shown).join(', ')}${more}`;
}
