import { countNames, repeatedNames } from '../domain/json-text.ts';
import { ApiError } from '../errors.ts';
import { survey } from './json-scan.ts';
import { fault, maxListedFaults, toPointer, validationError } from './problem-details.ts';

/** The body itself, and 64 levels in each field. */
const maxLevels = 1 + 64;

/** Of bytes in the body that they are a part of. */
type Position = { body: Buffer; offsetOf(offset: number): number };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses JSON and ignores the content type: the documentation's curl lines send another one. A name that an object
 * repeats is refused, because a receiver may use the other value.
 *
 * @throws ApiError malformed_json, validation_failed
 */
export function parseJson(
  bytes: Buffer,
  position: Position = { body: bytes, offsetOf: (at) => at },
): unknown {
  if (bytes.length === 0) throw new ApiError('malformed_json', 'The body is empty. Send a JSON object.');
  // Before it is parsed: JSON.parse is slow for deeply nested input.
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
    throw malformed(offset === null ? null : positionOf(position.body, position.offsetOf(offset)));
  }
  // JSON.parse keeps one of two equal names, so the value has fewer names than the text.
  if (countNames(value) === names) return value;
  const repeated = repeatedNames(text, maxListedFaults);
  throw validationError(repeated.map((path) => fault(toPointer(path), 'is given more than once')));
}

/** @throws ApiError malformed_json */
export function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed('it is not UTF-8');
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
