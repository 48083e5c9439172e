import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { EncryptionKey } from '../setting-schemas.ts';
import { UnopenableError } from './secret-box.ts';

export type PayloadBox = {
  /** Whether new payloads are sealed. */
  readonly seals: boolean;
  /** The key that seals new payloads. */
  readonly currentKeyId: string;
  hasKey(id: string): boolean;
  /** `context` must be given again to open it. */
  seal(plain: Buffer, context: string): Buffer;
  /** @throws UnopenableError when the key is missing or wrong, or the bytes were changed or belong elsewhere */
  open(sealed: Buffer, context: string): Buffer;
};

/** The first byte of sealed bytes: no JSON text begins with it. */
const version = 1;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * AES-256-GCM for payloads, with the keys of the secret box: the first one seals, all of them open. Sealed bytes are
 * `01`, the length of the key's id, the id, nonce, tag, data.
 *
 * Each context has a key of its own, derived by HMAC-SHA256: with random nonces, one key may seal no more than 2³² texts,
 * which a busy service has in weeks.
 *
 * @param keys 32 bytes each, from `FLTR_ENCRYPTION_KEYS`
 * @example createPayloadBox([{ id: 'k1', key }], true).seal(Buffer.from('{"id":…}'), 'body:acc_1:evt_1') // <01 02 6b 31 …>
 */
export function createPayloadBox(keys: readonly EncryptionKey[], seals: boolean): PayloadBox {
  const byId = new Map(keys.map(({ id, key }) => [id, key]));
  const current = keys[0];
  if (!current) throw new Error('A payload box needs at least one key');
  const currentId = Buffer.from(current.id);
  const header = Buffer.from([version, currentId.length, ...currentId]);
  const keyFor = (key: Buffer, context: string) =>
    createHmac('sha256', key).update('fltr-payload\0').update(context).digest();
  return {
    seals,
    currentKeyId: current.id,
    hasKey: (id) => byId.has(id),
    seal(plain, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', keyFor(current.key, context), nonce).setAAD(
        Buffer.from(context),
      );
      const data = cipher.update(plain);
      const rest = cipher.final();
      return Buffer.concat([header, nonce, cipher.getAuthTag(), data, rest]);
    },
    open(sealed, context) {
      const idEnd = 2 + (sealed[1] ?? 0);
      const id = sealed.toString('utf8', 2, idEnd);
      const key = byId.get(id);
      if (sealed[0] !== version || !key) throw new UnopenableError(id);
      const nonceEnd = idEnd + nonceBytes;
      const tagEnd = nonceEnd + tagBytes;
      try {
        const decipher = createDecipheriv(
          'aes-256-gcm',
          keyFor(key, context),
          sealed.subarray(idEnd, nonceEnd),
          {
            authTagLength: tagBytes,
          },
        )
          .setAAD(Buffer.from(context))
          .setAuthTag(sealed.subarray(nonceEnd, tagEnd));
        const data = decipher.update(sealed.subarray(tagEnd));
        const rest = decipher.final();
        return rest.length === 0 ? data : Buffer.concat([data, rest]);
      } catch (error) {
        throw new UnopenableError(id, { cause: error });
      }
    },
  };
}
