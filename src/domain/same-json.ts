import { isDeepStrictEqual } from 'node:util';
import { withTextsOnly } from './json-text.ts';

/**
 * Whether two JSON texts have the same value. The order of names, escapes and the form of numbers do not matter.
 * Numbers are compared with all their digits, also beyond the precision of `JSON.parse`.
 *
 * @example isSameJson('{"a":1,"b":2}', '{"b":2.0,"a":1}') // true
 * @example isSameJson('9007199254740993', '9007199254740992') // false
 */
export function isSameJson(one: string, other: string): boolean {
  if (one === other) return true;
  return isDeepStrictEqual(JSON.parse(withTextsOnly(one)), JSON.parse(withTextsOnly(other)));
}
