import { z } from 'zod';
import { nameSchema } from './contracts/visible-text.ts';

const isLoopback = (hostname: string): boolean =>
  /(^|\.)localhost$/.test(hostname) || hostname === '127.0.0.1' || hostname === '[::1]';

/** An address such as `https://app.example.com`, as a browser writes it; http for this machine only. */
function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { origin, protocol, hostname } = new URL(text);
  // No pattern such as *.example.com: each site is named.
  if (origin !== text || !/^[a-z0-9.[\]:-]+$/.test(hostname)) return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

const origin = z
  .string()
  .refine(isOrigin, 'must be an origin such as https://webhooks.example.com; http for localhost only');

const origins = z
  .string()
  .transform((text) => (text === '' ? [] : text.split(',').map((entry) => entry.trim())))
  .refine(
    (list) => list.every(isOrigin),
    'must list origins such as https://app.example.com, separated by commas; http for localhost only',
  )
  .refine((list) => list.length <= 20, 'must list at most 20 origins');

/** A page's content security policy allows `data:` images and the origin of this URL. */
const logoUrl = z
  .string()
  .max(65_536, 'must have at most 65536 characters')
  .refine(
    (text) =>
      /^data:image\/(svg\+xml|png|jpeg|gif|webp)[;,][\x21-\x7e]*$/.test(text) ||
      (/^https:\/\/[\x21-\x7e]+$/.test(text) && URL.canParse(text)),
    'must be an https URL, or data:image/… of type svg+xml, png, jpeg, gif or webp',
  );

/** Settings of the pages that browsers load. */
export const pageSettings = {
  FLTR_PRODUCT_NAME: {
    schema: nameSchema,
    default: 'FLTR webhooks',
    meaning: "name of the product in the dashboard's pages, their titles and the API reference",
  },
  FLTR_LOGO_URL: {
    schema: logoUrl,
    meaning:
      "logo and icon of the dashboard's pages: an https URL or `data:image/…`; unset: the service's own",
  },
  FLTR_PUBLIC_URL: {
    schema: origin,
    meaning:
      'where browsers reach the service, such as https://webhooks.example.com, for portal links and links in e-mails; unset: the `Host` header of the call, and no links in e-mails',
  },
  FLTR_PORTAL_FRAME_ANCESTORS: {
    schema: origins,
    default: '',
    meaning:
      'sites whose pages may show the portal in a frame, such as https://app.example.com,https://example.com; empty: none',
  },
} as const;

/** The settings of pages that production refuses. */
export const insecurePages = (config: { FLTR_PORTAL_FRAME_ANCESTORS?: string[] | undefined }): string[] =>
  config.FLTR_PORTAL_FRAME_ANCESTORS?.some((ancestor) => ancestor.startsWith('http:'))
    ? ['FLTR_PORTAL_FRAME_ANCESTORS must list https origins only in production']
    : [];
