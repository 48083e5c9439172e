import { countNames, repeatedNames } from '../domain/json-text.ts';
import { ApiError } from '../errors.ts';
import { survey } from './json-marks.ts';
import { fault, maxListedFaults, toPointer, validationError } from './problem.ts';

/** The body itself, and so many levels in each field: deeper than this, no data is meant to be. */
const maxLevels = 1 + 64;

/** Where bytes stand in the body that they are a part of. */
type Place = { body: Buffer; offsetOf(offset: number): number };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The bytes as JSON, whatever content type was said: the documentation's own curl lines send none. A name that stands twice
 * in an object is refused, for a receiver may take the other value of the two.
 *
 * @throws ApiError malformed_json, validation_failed
 */
export function parseJson(bytes: Buffer, place: Place = { body: bytes, offsetOf: (at) => at }): unknown {
  if (bytes.length === 0) throw new ApiError('malformed_json', 'The body is empty: send a JSON object.');
  // Before it is parsed: JSON.parse takes long for what nests without end.
  const { tooDeep, names } = survey(bytes, maxLevels);
  if (tooDeep) {
    const pointer = tooDeep.name === null ? '' : toPointer([tooDeep.name]);
    throw validationError([fault(pointer, `must not nest deeper than ${maxLevels - 1} levels`)]);
  }
  const text = decode(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const at = /at position (\d+)/.exec((error as Error).message)?.[1];
    const offset = at === undefined ? null : Buffer.byteLength(text.slice(0, Number(at)));
    throw malformed(offset === null ? null : positionOf(place.body, place.offsetOf(offset)));
  }
  // JSON.parse keeps one of two equal names, so it has fewer than there are in the text.
  if (countNames(value) === names) return value;
  const repeated = repeatedNames(text, maxListedFaults);
  throw validationError(repeated.map((path) => fault(toPointer(path), 'is given more than once')));
}

/** @throws ApiError malformed_json */
export function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed('it is no UTF-8');
  }
}

const malformed = (where: string | null) =>
  new ApiError('malformed_json', `The body is not valid JSON${where === null ? '' : ` (${where})`}.`);

/** In characters, as JSON.parse counts. */
function positionOf(body: Buffer, offset: number): string {
  const before = new TextDecoder().decode(body.subarray(0, offset));
  const lines = before.split('\n');
  return `at position ${before.length} (line ${lines.length} column ${(lines.at(-1) ?? '').length + 1})`;
}
