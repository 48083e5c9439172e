import type { WebhookAuth } from '../contracts/webhook-policy.ts';
import { authContext, headersContext } from '../db/webhook-policy.ts';
import { allowedHeaders, type CustomHeaders } from '../domain/custom-headers.ts';
import type { HeaderStyle } from '../domain/request-headers.ts';
import { basicAuthorization } from '../domain/webhook-auth.ts';
import type { ClientCertificate } from '../outbound/client-certificate.ts';
import type { OAuthTokens } from '../outbound/oauth-tokens.ts';
import type { SecretBox } from '../security/secret-box.ts';

type Webhook = {
  accountId: string;
  webhookId: string;
  isTest?: boolean | undefined;
  sealedHeaders: string | null;
  sealedAuth: string | null;
};
type AuthDeps = { secretBox: SecretBox; oauthTokens: OAuthTokens };

/** The credentials of a request. */
type RequestAuth = {
  authorization: string | null;
  clientCertificate?: ClientCertificate | undefined;
  /** Milliseconds that it took. */
  durationMs: number;
  /** The access token that it has. `isKept`: it was fetched for an earlier attempt, so that it may have been revoked since. */
  token: { isKept: boolean; drop: () => void } | null;
};
type AuthFailed = {
  kind: 'failed';
  code: 'auth_failed';
  detail: string;
  startedAt: Date;
  durationMs: number;
};

const none: RequestAuth = { authorization: null, durationMs: 0, token: null };

/**
 * The headers that the webhook's policy adds to a request.
 *
 * @throws UnopenableError
 */
export function ownHeaders(
  { secretBox, headerStyle }: { secretBox: SecretBox; headerStyle: HeaderStyle },
  { sealedHeaders, webhookId }: Pick<Webhook, 'sealedHeaders' | 'webhookId'>,
  authorization: string | null,
): Record<string, string> {
  const custom = sealedHeaders
    ? (JSON.parse(secretBox.openToSign(sealedHeaders, headersContext(webhookId))) as CustomHeaders)
    : [];
  return {
    ...allowedHeaders(custom, headerStyle, authorization !== null),
    ...(authorization === null ? {} : { Authorization: authorization }),
  };
}

/**
 * How a request authenticates, or that no access token could be fetched for it.
 *
 * @param timeoutMs how long that may take
 * @throws SenderBusy, UnopenableError
 */
export async function authenticate(
  { secretBox, oauthTokens }: AuthDeps,
  { sealedAuth, webhookId, accountId, isTest }: Webhook,
  timeoutMs: number,
): Promise<RequestAuth | AuthFailed> {
  if (!sealedAuth) return none;
  const auth = JSON.parse(secretBox.openToSign(sealedAuth, authContext(webhookId))) as WebhookAuth;
  switch (auth.type) {
    case 'basic':
      return { ...none, authorization: basicAuthorization(auth.username, auth.password) };
    case 'bearer':
      return { ...none, authorization: `Bearer ${auth.token}` };
    case 'mtls': {
      const { certificate, key, ca } = auth;
      return { ...none, clientCertificate: { certificate, key, ca } };
    }
    case 'oauth2': {
      const source = {
        tokenUrl: auth.token_url,
        clientId: auth.client_id,
        clientSecret: auth.client_secret,
        scope: auth.scope,
        audience: auth.audience,
      };
      const got = await oauthTokens.get({ webhookId, accountId, isTest, source, timeoutMs });
      if (got.kind === 'failed') return { ...got, code: 'auth_failed' };
      return {
        authorization: `Bearer ${got.token}`,
        durationMs: got.durationMs,
        token: { isKept: got.isKept, drop: () => oauthTokens.drop(webhookId, got.token) },
      };
    }
  }
}
