import { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { createSend, FltrWebhooksError } from '../client/request.ts';
import type { OpenedSession, Session, SignIn } from '../contracts/session.ts';
import { actingFor } from './acting.ts';
import { applyTheme } from './apply-theme.ts';
import { isInFrame, isPortal, linkToken } from './portal.ts';

/** Of a portal in a frame. Otherwise the cookie is the session. */
let frameToken: string | null = null;
let unusedToken = linkToken;
let closedBecause = 'This link was used before, or the session has ended.';

const options = {
  apiKey: () => frameToken,
  account: actingFor ?? undefined,
  url: location.origin,
  maxRetries: 1,
} as const;

/** The public API; the session identifies the account. */
export const api = new FltrWebhooks<Record<string, object>>(options);

const send = createSend(options);

export const readSession = (): Promise<Session> => (isPortal ? readPortalSession() : getSession());

const getSession = () => send({ method: 'GET', path: '/session', isRepeatable: true }) as Promise<Session>;

const openSession = (body: SignIn) =>
  send({ method: 'POST', path: '/session', body, isRepeatable: false }) as Promise<OpenedSession>;

export const signIn: (credentials: { key: string } | { token: string }) => Promise<Session> = openSession;

export async function signOut(): Promise<void> {
  await send({ method: 'DELETE', path: '/session', isRepeatable: true });
  closedBecause = 'You are signed out.';
}

/** Why the portal shows nothing. */
export const portalClosedBecause = (): string => closedBecause;

async function readPortalSession(): Promise<Session> {
  try {
    const session = unusedToken === null ? await readOpenPortal() : await openPortal(unusedToken);
    if (session.portal === null) throw notOpen();
    applyTheme(session.portal);
    return session;
  } catch (error) {
    if (error instanceof FltrWebhooksError && error.status === 401) frameToken = null;
    throw error;
  }
}

async function openPortal(token: string): Promise<Session> {
  try {
    const { session_token: sessionToken, ...session } = await openSession({
      portal_token: token,
      in_frame: isInFrame,
    });
    unusedToken = null;
    frameToken = sessionToken ?? null;
    closedBecause = 'The session has ended.';
    return session;
  } catch (error) {
    if (error instanceof FltrWebhooksError && error.status === 401) {
      unusedToken = null;
      closedBecause = error.message;
    }
    throw error;
  }
}

/** In a frame a cookie counts for nothing: it would be that of the site's own dashboard. */
async function readOpenPortal(): Promise<Session> {
  if (isInFrame && frameToken === null) throw notOpen();
  const session = await getSession();
  closedBecause = 'The session has ended.';
  return session;
}

const notOpen = () => new FltrWebhooksError(closedBecause, { status: 401, code: 'unauthorized' });
