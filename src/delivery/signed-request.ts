import type { StoredAttempt } from '../db/attempts.ts';
import type { WebhookFormat } from '../contracts/webhook-format.ts';
import type { SignatureVersion } from '../contracts/webhook-policy.ts';
import { newId } from '../domain/ids.ts';
import { decideNext } from '../domain/next-attempt.ts';
import { attemptHeaders, type HeaderStyle } from '../domain/request-headers.ts';
import type { RetryTerms } from '../domain/retry-policy.ts';
import { signingKeyContext } from '../domain/signing-key.ts';
import { signingKeys, signingSecrets } from '../domain/signing-secrets.ts';
import { emailAddressesOf } from '../domain/email-addresses.ts';
import { emailOf } from '../domain/email-text.ts';
import { bodyFor } from '../domain/wire-body.ts';
import type { Mailer } from '../outbound/mailer.ts';
import type { OAuthTokens } from '../outbound/oauth-tokens.ts';
import type { Sender, SendResult } from '../outbound/sender.ts';
import type { SecretBox } from '../security/secret-box.ts';
import { authenticate, ownHeaders } from './request-auth.ts';

type SignedRequest = {
  accountId: string;
  webhookId: string;
  url: string;
  format: WebhookFormat;
  /** The time limit in ms; null: the setting. */
  timeoutMs: number | null;
  sealedHeaders: string | null;
  sealedAuth: string | null;
  sealedSecret: string | null;
  previousSealedSecret: string | null;
  previousSecretUntil: Date | null;
  signatures: readonly SignatureVersion[];
  sealedSigningKey: string | null;
  previousSealedSigningKey: string | null;
  eventId: string;
  eventType: string;
  traceparent?: string | null;
  /** The event's; it is sent in the webhook's format. */
  body: Buffer;
  isTest?: boolean;
};
export type SendDeps = {
  sender: Sender;
  secretBox: SecretBox;
  headerStyle: HeaderStyle;
  oauthTokens: OAuthTokens;
  /** Null: the service has no mail server. */
  mailer: Mailer | null;
};
type MadeAttempt = Omit<StoredAttempt, 'number'> & {
  /** Until then its receiver has requested that the webhook makes no attempt; null: it has not. */
  deferWebhookUntil: Date | null;
};

/**
 * Signs and sends one request by the webhook's policy, and judges the result; to a `mailto:` URL, one e-mail.
 * Deliveries and test events go this way.
 *
 * @param terms by which another attempt follows
 * @param onSent called when the request begins
 * @throws SenderBusy where nothing was sent
 */
export async function sendSigned(
  deps: SendDeps,
  request: SignedRequest,
  terms: RetryTerms,
  onSent?: () => void,
): Promise<MadeAttempt> {
  if (request.format === 'email') return sendEmail(deps, request, terms, onSent);
  const { sender, secretBox, headerStyle } = deps;
  const { url, format, accountId, isTest } = request;
  const id = newId('att');
  const body = bodyFor(format, request.body, accountId);
  // Signed only when the request begins: after a long wait for capacity a receiver would refuse the signature as too old.
  const headers = (at: Date) => {
    onSent?.();
    const signed = sign(secretBox, { ...request, style: headerStyle, attemptId: id, body, at });
    return { ...signed, ...own };
  };
  const timeoutMs = request.timeoutMs ?? sender.timeoutMs;
  // A token URL that hangs uses up the time of the attempt.
  const auth = await authenticate(deps, request, timeoutMs);
  const own = ownHeaders(deps, request, 'kind' in auth ? null : auth.authorization);
  const sent =
    'kind' in auth
      ? auth
      : await sender.send({
          url,
          accountId,
          isTest,
          headers,
          body,
          timeoutMs: Math.max(1, timeoutMs - auth.durationMs),
          clientCertificate: auth.clientCertificate,
        });
  const token = 'kind' in auth ? null : auth.token;
  const isRefused = token !== null && sent.kind === 'responded' && sent.statusCode === 401;
  if (isRefused) token.drop();
  const sentAs = { url, format, bodyBytes: body.length, headersAs: headerStyle.stored };
  return { id, request: sentAs, ...judge(sent, terms, isRefused && token.isKept) };
}

async function sendEmail(
  { sender, mailer, headerStyle }: SendDeps,
  request: SignedRequest,
  terms: RetryTerms,
  onSent?: () => void,
): Promise<MadeAttempt> {
  const { url, format, accountId, eventId, webhookId, isTest } = request;
  const { subject, text, html } = emailOf(request.body.toString(), {
    isTest,
    publicUrl: mailer?.publicUrl ?? null,
  });
  const to = emailAddressesOf(url);
  if (to === null) throw new Error(`Webhook ${webhookId} has no addresses`);
  const sent: SendResult = mailer
    ? await mailer.send({
        mail: { to, subject, text, html, id: `${eventId}.${webhookId}` },
        accountId,
        timeoutMs: request.timeoutMs ?? sender.timeoutMs,
        onStart: onSent,
      })
    : { kind: 'failed', code: 'email_failed', detail: noMailServer, startedAt: new Date(), durationMs: 0 };
  const sentAs = { url, format, bodyBytes: Buffer.byteLength(text), headersAs: headerStyle.stored };
  return { id: newId('att'), request: sentAs, ...judge(sent, terms, false) };
}

const noMailServer = 'This service has no mail server: its operator must set FLTR_SMTP_URL.';

type ToSign = Pick<
  SignedRequest,
  | 'webhookId'
  | 'sealedSecret'
  | 'previousSealedSecret'
  | 'previousSecretUntil'
  | 'signatures'
  | 'sealedSigningKey'
  | 'previousSealedSigningKey'
  | 'format'
  | 'eventId'
  | 'eventType'
  | 'traceparent'
  | 'isTest'
> & { style: HeaderStyle; attemptId: string; body: Buffer; at: Date };

/**
 * The headers of a request, signed with the secrets of the webhook.
 *
 * @throws UnopenableError
 */
export function sign(
  secretBox: SecretBox,
  { sealedSecret, webhookId, ...request }: ToSign,
): Record<string, string> {
  if (sealedSecret === null) throw new Error(`Webhook ${webhookId} has no secret`);
  const { signatures, previousSecretUntil: previousUntil, at: now } = request;
  const { body, standard } = signingSecrets({
    current: sealedSecret,
    previous: request.previousSealedSecret,
    previousUntil,
    now,
  });
  const keys = signingKeys({
    current: request.sealedSigningKey,
    previous: request.previousSealedSigningKey,
    previousUntil,
    now,
  });
  const open = (secret: string) => secretBox.openToSign(secret, webhookId);
  const openKey = (key: string) => secretBox.openToSign(key, signingKeyContext(webhookId));
  const secrets = {
    body: open(body),
    standard: signatures.includes('v1') ? standard.map(open) : [],
    keys: signatures.includes('v1a') ? keys.map(openKey) : [],
  };
  return attemptHeaders({ ...request, secrets });
}

/** @param isTokenOld the receiver refuses an access token that may have been revoked: another one may help */
function judge(sent: SendResult, terms: RetryTerms, isTokenOld: boolean) {
  const { startedAt, durationMs } = sent;
  const unread = { statusCode: null, headers: {} as Record<string, string> };
  // The readable part of a response that is not valid HTTP.
  const { statusCode, headers, body, truncated } =
    sent.kind === 'responded'
      ? sent
      : { ...(sent.response ?? unread), body: Buffer.alloc(0), truncated: true };
  const retryAfter = sent.kind === 'responded' ? headers['retry-after'] : undefined;
  const now = endOfAttempt(sent);
  const { outcome, errorCode, waitSeconds, deferSeconds } = decideNext({
    response: isTokenOld ? { kind: 'failed', code: 'auth_failed' } : sent,
    retryAfter,
    terms,
    now,
    random: Math.random(),
  });
  return {
    startedAt,
    durationMs,
    statusCode,
    outcome,
    errorCode,
    waitSeconds,
    deferWebhookUntil: deferSeconds === null ? null : new Date(now.getTime() + deferSeconds * 1000),
    isProbe: terms.isProbe,
    response: statusCode === null ? null : { headers, body, truncated },
    errorDetail: sent.kind === 'failed' ? (sent.detail ?? null) : null,
  };
}

export const endOfAttempt = ({ startedAt, durationMs }: { startedAt: Date; durationMs: number }): Date =>
  new Date(startedAt.getTime() + durationMs);
