import { z } from 'zod';
import { encryptionKeys } from './setting-schemas.ts';

/** The keys of the encryption in PostgreSQL, and whether payloads are encrypted. */
export const encryptionSettings = {
  FLTR_ENCRYPTION_KEYS: {
    schema: encryptionKeys,
    meaning:
      '`id:base64,…`, 32 bytes each; the first one encrypts; unset in development: made at the first start',
    isSecret: true,
  },
  FLTR_ENCRYPT_PAYLOADS: {
    schema: z.stringbool(),
    default: 'false',
    meaning: "seals events' bodies and receivers' responses in PostgreSQL, with the first encryption key",
  },
};
