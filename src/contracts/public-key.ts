import { z } from 'zod';

const publicKey = z
  .string()
  .meta({ description: '`whpk_` and the base64 of an ed25519 public key, 32 bytes.' });

export const webhookPublicKeySchema = z
  .object({
    webhook_id: z.string(),
    public_key: publicKey,
    previous_public_key: publicKey
      .nullable()
      .meta({ description: 'The previous one, while its key still signs; null without an overlap.' }),
    previous_public_key_until: z.iso.datetime().nullable(),
  })
  .meta({ id: 'WebhookPublicKey' });

const publicJwk = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  kid: z.string().meta({ description: 'The thumbprint of the key (RFC 7638).' }),
  alg: z.literal('EdDSA'),
  use: z.literal('sig'),
});

export const jwkSetQuerySchema = z.strictObject({ webhook_id: z.string().meta({ example: 'wh_01k' }) });

/** A JSON Web Key Set: RFC 7517, with keys of RFC 8037. */
export const jwkSetSchema = z.object({ keys: z.array(publicJwk) }).meta({ id: 'JwkSet' });
export type JwkSet = z.infer<typeof jwkSetSchema>;
