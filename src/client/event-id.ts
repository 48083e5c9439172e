const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const digits = 26;

/**
 * A new event id: `evt_` and a UUIDv7 in 26 base-32 digits, in the service's format. Sorts by time.
 *
 * @example newEventId() // 'evt_01kdvbd4009g3t1k2m4n6p8q0r'
 */
export function newEventId(): string {
  let bits = BigInt(Date.now());
  for (const byte of globalThis.crypto.getRandomValues(new Uint8Array(10)))
    bits = (bits << 8n) | BigInt(byte);
  // Version 7, variant 10.
  bits = (bits & ~(0xfn << 76n)) | (7n << 76n);
  bits = (bits & ~(3n << 62n)) | (2n << 62n);
  let text = '';
  for (let index = 0; index < digits; index += 1) {
    text = `${alphabet[Number(bits & 31n)]}${text}`;
    bits >>= 5n;
  }
  return `evt_${text}`;
}
