import fc from 'fast-check';
import { expect, test } from 'vitest';
import { builtInEventTypes, operationalTypes } from '../../src/contracts/event-types.ts';
import { isCovered, isSubscribed, toggleFilter } from '../../src/dashboard/event-filters.ts';
import { familiesOf, filtersThatMatch } from '../../src/domain/subscription.ts';

const ownTypes = ['order.paid', 'order.item.added', 'order.item.part.lost', 'mail_box.sent'];
const types = [...builtInEventTypes, ...ownTypes, ...operationalTypes];
const eventFilters = ['*', ...new Set(types.flatMap((type) => [type, ...familiesOf(type)]))];
const filter = fc.constantFrom(...eventFilters);
/** The filters after clicks on these, one after the other. */
const picks = fc.array(filter).map((clicked) => clicked.reduce<string[]>(toggleFilter, []));
const reached = (events: readonly string[]) => types.filter((type) => isSubscribed(events, type));

test('the page and the service agree on which webhook gets which event', () => {
  fc.assert(
    fc.property(fc.uniqueArray(filter), (events: readonly string[]) => {
      const matched = types.filter((type) => filtersThatMatch(type).some((each) => events.includes(each)));
      expect(reached(events)).toEqual(matched);
    }),
  );
});

test('picking a filter adds the types that it covers and loses none', () => {
  fc.assert(
    fc.property(picks, filter, (picked, next) => {
      fc.pre(!picked.includes(next) && !isCovered(picked, next));
      const before = new Set([...reached(picked), ...reached([next])]);
      expect(new Set(reached(toggleFilter(picked, next)))).toEqual(before);
    }),
  );
});

test('no type is picked twice, and a second click undoes the first', () => {
  fc.assert(
    fc.property(picks, filter, (picked, next) => {
      expect(picked.filter((each) => isCovered(picked, each))).toEqual([]);
      if (!picked.includes(next)) expect(toggleFilter(toggleFilter(picked, next), next)).not.toContain(next);
    }),
  );
});

test('each family filter covers its own types', () => {
  const coveredBy = (picked: string) => eventFilters.filter((each) => isCovered([picked], each));
  const notOperational = (each: string) => !/^(webhook|delivery)\./.test(each) && each !== '*';
  expect(coveredBy('*')).toEqual(eventFilters.filter(notOperational));
  expect(coveredBy('order.*')).toEqual([
    'order.paid',
    'order.item.added',
    'order.item.*',
    'order.item.part.lost',
    'order.item.part.*',
  ]);
  expect(coveredBy('dataset.*')).toEqual(['dataset.created', 'dataset.updated', 'dataset.deleted']);
  expect(coveredBy('delivery.*')).toEqual(['delivery.failed']);
  expect(coveredBy('document.deleted')).toEqual([]);
});
