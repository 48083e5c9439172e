import { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { createSend } from '../client/request.ts';
import type { Session } from '../contracts/session.ts';

const options = { apiKey: null, url: location.origin, maxRetries: 1 } as const;

/** The public API; the session cookie identifies the account. */
export const api = new FltrWebhooks<Record<string, object>>(options);

const send = createSend(options);

export const readSession = () =>
  send({ method: 'GET', path: '/session', isRepeatable: true }) as Promise<Session>;

export const signIn = (credentials: { key: string } | { token: string }) =>
  send({ method: 'POST', path: '/session', body: credentials, isRepeatable: false }) as Promise<Session>;

export const signOut = () => send({ method: 'DELETE', path: '/session', isRepeatable: true });
