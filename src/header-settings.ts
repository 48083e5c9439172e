import { z } from 'zod';
import { signatureKinds, type SignatureKind } from './contracts/signature-kind.ts';
import { defaultHeaderSettings } from './domain/request-headers.ts';

/** First words of names that HTTP, proxies or a standard give a meaning; the service's own headers must not look like them. */
const takenWords = new Set(
  'accept access allow auth authorization cache ce connection content cookie date expect forwarded host http if keep max origin proxy range referer sec set svix te trailer transfer upgrade user via webhook www'.split(
    ' ',
  ),
);
const takenPrefixes = ['x-forwarded-', 'x-real-', 'x-http-'];

/** Not `_` or the other characters that RFC 9110 allows in names: many servers drop such headers. */
const headerPrefix = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9-]{0,38}-$/,
    'must be 2 to 40 letters, digits and hyphens that begin with a letter and end with a hyphen, such as X-Acme-',
  )
  .refine((prefix) => {
    const lower = prefix.toLowerCase();
    const [firstWord = ''] = lower.split('-');
    return !takenWords.has(firstWord) && !takenPrefixes.some((taken) => lower.startsWith(taken));
  }, 'must not begin like a header of HTTP, of proxies or of another standard: choose a name of your own, such as X-Acme-');

const userAgent = z
  .string()
  .max(200, 'must have at most 200 characters')
  .regex(
    /^[\x21-\x7e]+( [\x21-\x7e]+)*$/,
    'must be visible ASCII characters, with single spaces between words',
  );

const signatures = z.string().transform((text, context): SignatureKind[] => {
  const wanted = text.split(',').map((part) => part.trim());
  const known = signatureKinds.filter((kind) => wanted.includes(kind));
  if (known.length !== wanted.length)
    context.addIssue('must be fltr, standard or both, separated by a comma, each once');
  return known;
});

/** The settings of the headers that requests to receivers have. */
export const headerSettings = {
  FLTR_HEADER_PREFIX: {
    schema: headerPrefix,
    default: defaultHeaderSettings.prefix,
    meaning: "beginning of the names of the service's own request headers, such as X-Acme-",
  },
  FLTR_USER_AGENT: {
    schema: userAgent,
    default: defaultHeaderSettings.userAgent,
    meaning: '`User-Agent` of requests to receivers',
  },
  FLTR_SIGNATURES: {
    schema: signatures,
    default: defaultHeaderSettings.signatures.join(','),
    meaning:
      '`fltr`, `standard` or both: which signatures requests have, `<prefix>Signature` or `webhook-signature`',
  },
} as const;
