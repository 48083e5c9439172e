import { randomFillSync } from 'node:crypto';
import { V7Generator } from 'uuidv7';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
/** 10 bits as two digits. */
const pairs = Array.from({ length: 1024 }, (_, bits) => `${alphabet[bits >> 5]}${alphabet[bits & 31]}`);
/** The first 10 of the 26 digits hold a UUIDv7's 48 bits of time. */
const timeDigits = 10;

export type IdPrefix = 'acc' | 'key' | 'wh' | 'evt' | 'dlv' | 'att' | 'req' | 'aud' | 'rec' | 'grp';

// Random words are fetched by the thousand: each call for them costs more than an id.
const randomWords = new Uint32Array(2048);
let wordsLeft = 0;
const generator = new V7Generator({
  nextUint32() {
    if (wordsLeft === 0) {
      randomFillSync(randomWords);
      wordsLeft = randomWords.length;
    }
    wordsLeft -= 1;
    return randomWords[wordsLeft] ?? 0;
  },
});

/**
 * A new id: the prefix, `_`, and a UUIDv7 in 26 lower-case Crockford base-32 digits, so that ids sort by time.
 *
 * @example newId('dlv') // 'dlv_06cz8s5v9g3t1k2m4n6p8q0r2s'
 */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${base32(generator.generate().bytes)}`;
}

/** Whether a workflow's id is a group's, which carries several deliveries for their first attempt. */
export function isGroupId(workflowId: string): boolean {
  return workflowId.startsWith('grp_');
}

/** 128 bits as 26 digits of 5 bits, the first digit holding the upper 3. */
function base32(bytes: Readonly<Uint8Array>): string {
  let text = '';
  let buffer = 0;
  let bits = 2; // two leading zero bits: 2 + 128 = 26 × 5
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    if (bits < 10) continue;
    bits -= 10;
    text += pairs[buffer >> bits];
    buffer &= (1 << bits) - 1;
  }
  return text;
}

/**
 * The smallest id of that prefix and millisecond: bounds of a time range become bounds of an index.
 *
 * @example idFloor('dlv', new Date('2026-01-01')) // 'dlv_01kdvbd4000000000000000000'
 */
export function idFloor(prefix: IdPrefix, at: Date): string {
  let digits = '';
  let rest = Math.max(0, at.getTime());
  for (let index = 0; index < timeDigits; index += 1) {
    digits = `${alphabet[rest % 32]}${digits}`;
    rest = Math.floor(rest / 32);
  }
  return `${prefix}_${digits.padEnd(26, '0')}`;
}

/** When an id was made: the millisecond in it. */
export function timeOfId(id: string): Date {
  const start = id.lastIndexOf('_') + 1;
  let milliseconds = 0;
  for (const digit of id.slice(start, start + timeDigits)) {
    milliseconds = milliseconds * 32 + alphabet.indexOf(digit);
  }
  return new Date(milliseconds);
}
