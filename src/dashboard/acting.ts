import { isPortal } from './portal.ts';

const [, accountInPath] = /^\/as\/([A-Za-z0-9_-]{1,64})(?:\/|$)/.exec(location.pathname) ?? [];

/**
 * The account that a service key acts for: its pages are below `/as/<account>`, so that a reload, a new tab and a shared link
 * stay with it. Null elsewhere.
 */
export const actingFor: string | null = accountInPath ?? null;

/** Below which path the pages are. */
export const pagesPath = isPortal ? '/portal' : actingFor === null ? '/' : `/as/${actingFor}`;

/** The pages of an account. Another document, because its calls are for another account. */
export const pagesOf = (accountId: string): string => `/as/${accountId}/webhooks`;
