import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';

export type OAuthServer = {
  tokenUrl: string;
  /** How many requests came to the token URL. */
  tokenRequests(): number;
  /** Whether a request has an access token that this server gave, and that is neither expired nor revoked. */
  accepts(authorization: string | undefined): Promise<boolean>;
  /** Ends a token, as the client itself or an administrator does. */
  revoke(token: string): Promise<void>;
  /** Handles requests in place of the server; null: no longer. */
  replaceWith(listener: RequestListener | null): void;
  /** Handles requests so many milliseconds later. */
  delayBy(milliseconds: number): void;
  close(): Promise<void>;
};

type Client = { id: string; secret: string };

/** A real OAuth 2.0 authorization server on loopback (npm's oidc-provider), for these clients with client credentials. */
export async function startOAuthServer(
  clients: Client[],
  { lifeSeconds = 600, scope = 'webhooks:write' } = {},
): Promise<OAuthServer> {
  let count = 0;
  let delayMs = 0;
  let replacement: RequestListener | null = null;
  let handle: RequestListener = () => undefined;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/token') count += 1;
    setTimeout(() => (replacement ?? handle)(request, response), delayMs);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(origin, {
    clients: clients.map(({ id, secret }) => ({
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope,
    })),
    scopes: [scope, 'not-allowed'],
    ttl: { ClientCredentials: lifeSeconds },
    features: {
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      devInteractions: { enabled: false },
    },
  });
  handle = provider.callback();
  const [first] = clients;
  return {
    tokenUrl: `${origin}/token`,
    tokenRequests: () => count,
    async accepts(authorization = '') {
      const token = /^Bearer (.+)$/.exec(authorization)?.[1];
      return token !== undefined && (await provider.ClientCredentials.find(token))?.isValid === true;
    },
    async revoke(token) {
      const credentials = [first?.id, first?.secret].map((part = '') => encodeURIComponent(part)).join(':');
      const response = await fetch(`${origin}/token/revocation`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        },
        body: new URLSearchParams({ token }),
      });
      if (!response.ok) throw new Error(`revocation: ${response.status}`);
    },
    replaceWith: (listener) => void (replacement = listener),
    delayBy: (milliseconds) => void (delayMs = milliseconds),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
