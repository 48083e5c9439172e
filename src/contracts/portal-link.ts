import { z } from 'zod';
import { accountScopes } from './key.ts';
import type { Settings } from './settings.ts';

export const portalModes = ['light', 'dark', 'auto'] as const;

export const createPortalLinkSchema = z
  .strictObject({
    account_id: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'The account: needed with a service key that acts for none.' }),
    expires_seconds: z
      .int()
      .min(10)
      .max(86_400)
      .default(900)
      .meta({ description: 'How long the link can be opened. Its session lasts 12 hours from then.' }),
    scopes: z
      .array(z.enum(accountScopes))
      .min(1)
      .max(accountScopes.length)
      .refine((list) => new Set(list).size === list.length, 'must not name a scope twice')
      .refine(
        (list) => list.length === 0 || list.includes('webhooks:read'),
        'must include webhooks:read, which every page needs',
      )
      .default(['webhooks:read', 'webhooks:write'])
      .meta({
        uniqueItems: true,
        description: 'The scopes of the session. Only scopes that the calling key has.',
      }),
    return_url: z.string().min(1).max(2048).optional().meta({
      description: 'Where the link "Back to …" leads: an https URL.',
      example: 'https://app.example.com/settings',
    }),
    theme: z
      .strictObject({
        accent: z
          .string()
          .regex(/^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/, 'must be a color such as #0a7cff')
          .optional()
          .meta({ description: 'Color of buttons and links.', example: '#0a7cff' }),
        mode: z.enum(portalModes).default('auto').meta({ description: '`auto`: as the browser prefers.' }),
      })
      .default({ mode: 'auto' }),
  })
  .meta({ id: 'CreatePortalLink' });

export const portalLinkSchema = z
  .object({
    id: z.string().meta({ example: 'pl_01k' }),
    url: z.string().meta({
      description: 'Opens the portal, once. The token is in the fragment, which browsers send to nobody.',
    }),
    expires_at: z.iso.datetime(),
  })
  .meta({ id: 'PortalLink' });
export type PortalLink = z.infer<typeof portalLinkSchema>;

/** The look of a portal's pages, and the address to which they lead back. */
export type PortalView = {
  accent: string | null;
  mode: (typeof portalModes)[number];
  return_url: string | null;
  /** The settings that the author of a receiver needs. */
  settings: Pick<Settings, 'header_prefix' | 'signatures' | 'hold_hours'>;
};
