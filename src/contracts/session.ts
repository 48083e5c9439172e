import { z } from 'zod';
import type { PortalView } from './portal-link.ts';

const credential = z.string().min(1).max(200).optional();

/**
 * One of: an API key; the token of a sign-in link, which `npm start` prints; the token of a portal link. `in_frame`: the page
 * of the portal is in a frame of another site, so the session is not a cookie, but a token in the response.
 */
export const signInSchema = z
  .strictObject({
    key: credential,
    token: credential,
    portal_token: credential,
    in_frame: z.boolean().optional(),
  })
  .refine(
    ({ key, token, portal_token: portal }) =>
      [key, token, portal].filter((given) => given !== undefined).length === 1,
    'must hold one of key, token and portal_token',
  )
  .refine(
    ({ portal_token: portal, in_frame: inFrame }) => portal !== undefined || inFrame === undefined,
    'may hold in_frame with portal_token only',
  );
export type SignIn = z.input<typeof signInSchema>;

export type Session = {
  /** The account of the pages. Null: the key is a service key, and the call names no account to act for. */
  account_id: string | null;
  account_name: string | null;
  is_service_key: boolean;
  /** In a portal, the link's. */
  key_id: string;
  key_name: string;
  scopes: string[];
  expires_at: string;
  /** Origin of the pages, as e-mails name it; null: it is not set. */
  public_url: string | null;
  /** Null: the session of a key. */
  portal: PortalView | null;
};

/** Opened once, it signs in with the key that made it. */
export type SignInLink = { url: string; expires_at: string };

/** `session_token`: in a frame, for the header `Authorization`. */
export type OpenedSession = Session & { session_token?: string };
