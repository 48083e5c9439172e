import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { EncryptionKey } from '../setting-schemas.ts';
import { createOpenedSecrets } from './opened-secrets.ts';

export type SecretBox = {
  /** The key that seals from now on. */
  readonly currentKeyId: string;
  hasKey(id: string): boolean;
  /** `key-id.nonce.tag.data`, all but the first base64url. `context` must be given again to open it. */
  seal(plain: string, context: string): string;
  /** @throws UnopenableError when the key is missing or wrong, or the text was changed or belongs elsewhere */
  open(sealed: string, context: string): string;
  /** The same for a webhook's secret that signs a request: the opened secret stays in memory for a minute. */
  openToSign(sealed: string, context: string): string;
};

export class UnopenableError extends Error {
  constructor(keyId: string, options?: ErrorOptions) {
    super(
      `A sealed value cannot be opened with key "${keyId}": the key is missing or wrong, or the value was changed.`,
      options,
    );
    this.name = 'UnopenableError';
  }
}

/**
 * AES-256-GCM with a list of keys: the first one seals, all of them open.
 *
 * @param keys 32 bytes each, from `FLTR_ENCRYPTION_KEYS`
 * @example createSecretBox([{ id: 'k1', key }]).seal('whsec_…', 'wh_1') // 'k1.Zm9v….…'
 */
export function createSecretBox(keys: readonly EncryptionKey[]): SecretBox {
  const byId = new Map(keys.map(({ id, key }) => [id, key]));
  const current = keys[0];
  if (!current) throw new Error('A secret box needs at least one key');
  const open: SecretBox['open'] = (sealed, context) => {
    const [id = '', nonce = '', tag = '', data = ''] = sealed.split('.');
    const key = byId.get(id);
    if (!key) throw new UnopenableError(id);
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'), {
        authTagLength: 16,
      })
        .setAAD(Buffer.from(context))
        .setAuthTag(Buffer.from(tag, 'base64url'));
      return decipher.update(Buffer.from(data, 'base64url'), undefined, 'utf8') + decipher.final('utf8');
    } catch (error) {
      throw new UnopenableError(id, { cause: error });
    }
  };
  return {
    currentKeyId: current.id,
    hasKey: (id) => byId.has(id),
    seal(plain, context) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', current.key, nonce).setAAD(Buffer.from(context));
      const data = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      const parts = [nonce, cipher.getAuthTag(), data].map((part) => part.toString('base64url'));
      return [current.id, ...parts].join('.');
    },
    open,
    openToSign: createOpenedSecrets(open).open,
  };
}
