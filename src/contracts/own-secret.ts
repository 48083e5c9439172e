import { z } from 'zod';

const four = '[A-Za-z0-9+/]{4}';
/** Base64 of 24 to 64 bytes with its padding, in the one way to write it. */
const base64 = [
  `(?:${four}){8,21}`,
  `(?:${four}){8,21}[A-Za-z0-9+/][AQgw]==`,
  `(?:${four}){8,20}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=`,
].join('|');

/** A secret that its user chose, of a length that Standard Webhooks allows. */
export const ownSecretSchema = z
  .string()
  .regex(
    new RegExp(`^whsec_(?:${base64})$`),
    'must be whsec_ and the standard base64 of 24 to 64 bytes with its padding, such as the output of: echo "whsec_$(openssl rand -base64 32)"',
  )
  .meta({
    description: '`whsec_` and the standard base64 of 24 to 64 bytes. Default: a new one of 32 random bytes.',
  });
