import type { ShownWebhookAuth, WebhookAuth } from '../contracts/webhook-policy.ts';

/**
 * The readable part of a webhook's authentication.
 *
 * @example shownAuth({ type: 'basic', username: 'fltr', password: '…' }) // { type: 'basic', username: 'fltr' }
 */
export function shownAuth(auth: WebhookAuth): ShownWebhookAuth {
  switch (auth.type) {
    case 'basic':
      return { type: auth.type, username: auth.username };
    case 'bearer':
    case 'mtls':
      return { type: auth.type };
    case 'oauth2': {
      const { client_secret: _secret, ...shown } = auth;
      return shown;
    }
  }
}

/** Whether requests get the header Authorization by it. */
export const setsAuthorization = (auth: Pick<WebhookAuth, 'type'> | null): boolean =>
  auth !== null && auth.type !== 'mtls';

/**
 * The header Authorization of user name and password. Source: RFC 7617, in UTF-8.
 *
 * @example basicAuthorization('fltr', 'secret') // 'Basic Zmx0cjpzZWNyZXQ='
 */
export const basicAuthorization = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
