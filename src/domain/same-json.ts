import { isDeepStrictEqual } from 'node:util';
import { withTextsOnly } from './json-text.ts';

/**
 * Whether two JSON texts say the same: in whatever order their names stand, however their characters are escaped and
 * their numbers written. Numbers that `JSON.parse` cannot tell apart are different all the same.
 *
 * @example isSameJson('{"a":1,"b":2}', '{"b":2.0,"a":1}') // true
 * @example isSameJson('9007199254740993', '9007199254740992') // false
 */
export function isSameJson(one: string, other: string): boolean {
  if (one === other) return true;
  return isDeepStrictEqual(JSON.parse(withTextsOnly(one)), JSON.parse(withTextsOnly(other)));
}
