import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { maxTimeoutMs } from './contracts/webhook-policy.ts';
import { toHeaderStyle } from './domain/request-headers.ts';
import { createAddressGuard } from './outbound/address-guard.ts';
import { createMailer } from './outbound/mailer.ts';
import { createOAuthTokens } from './outbound/oauth-tokens.ts';
import { createSender } from './outbound/sender.ts';
import type { Stops } from './stops.ts';
import { maxConcurrentAttempts } from './temporal/worker-tuning.ts';

/** Null: no mail server is set. */
function mailerOf(config: Config, log: Logger) {
  const { FLTR_SMTP_URL: server, FLTR_SMTP_FROM: address, FLTR_PRODUCT_NAME: name } = config;
  const onFault = (fault: string) => log.warn({ fault }, 'the mail server cannot be used');
  if (!server || address === undefined) return null;
  return createMailer({ server, name, address, publicUrl: config.FLTR_PUBLIC_URL ?? null, onFault });
}

/** The parts with which requests and e-mails are sent. */
export function createSending(config: Config, log: Logger, stops: Stops) {
  const guard = createAddressGuard({
    production: config.FLTR_ENV === 'production',
    allowedCidrs: config.FLTR_ALLOWED_CIDRS,
  });
  // An account may have half of an origin's connections: as many as attempts can be under way.
  const sender = createSender({
    guard,
    timeoutMs: config.FLTR_ATTEMPT_TIMEOUT_MS,
    longestMs: Math.max(config.FLTR_ATTEMPT_TIMEOUT_MS, maxTimeoutMs),
    connectionsPerOrigin: 2 * maxConcurrentAttempts,
  });
  stops.later('sender', sender);
  const headerStyle = toHeaderStyle({
    prefix: config.FLTR_HEADER_PREFIX,
    userAgent: config.FLTR_USER_AGENT,
    signatures: config.FLTR_SIGNATURES,
  });

  const oauthTokens = createOAuthTokens({ send: sender.send, userAgent: headerStyle.userAgent });

  const mailer = mailerOf(config, log);
  if (mailer) stops.later('mailer', mailer);
  return { guard, sender, headerStyle, oauthTokens, mailer };
}
