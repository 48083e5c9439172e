import type { SignatureKind } from '../contracts/signature-kind.ts';
import type { WebhookFormat } from '../contracts/webhook-format.ts';
import { contentTypeOf } from './body-formats.ts';
import { signBody, signStandard } from './signature.ts';
import { signAsymmetric } from './signing-key.ts';
import type { SigningSecrets } from './signing-secrets.ts';
import { traceparentOfAttempt } from './traceparent.ts';

/** The settings that requests are labelled with. */
export type HeaderSettings = {
  /** The prefix of the service's own headers. */
  prefix: string;
  userAgent: string;
  /** Which signatures are sent, in the order of `signatureKinds`. */
  signatures: readonly SignatureKind[];
};

/** The same, with the values that every request needs, computed once. */
export type HeaderStyle = HeaderSettings & {
  names: { event: string; delivery: string; test: string; signature: string };
  /** Names of the headers that hold signatures. The log does not have these. */
  signatureHeaders: readonly string[];
  hasFltr: boolean;
  hasStandard: boolean;
  /** The settings as an attempt stores them, so that the log shows the sent headers even after a change; null: the defaults. */
  stored: string | null;
};

type UnsignedHeaders = {
  style: HeaderStyle;
  format: WebhookFormat;
  eventId: string;
  eventType: string;
  attemptId: string;
  /** The attempt's start. */
  at: Date;
  /** The event's; undefined or null: it belongs to no trace. */
  traceparent?: string | null;
  isTest?: boolean;
};
type AttemptHeaders = UnsignedHeaders & { body: Uint8Array; secrets: SigningSecrets };

export const defaultHeaderSettings: HeaderSettings = {
  prefix: 'X-FLTR-',
  userAgent: 'FLTR-Webhooks/1.0',
  signatures: ['fltr', 'standard'],
};

/**
 * The names of the headers that these settings make.
 *
 * @example toHeaderStyle({ prefix: 'X-Acme-', userAgent: 'Acme/1', signatures: ['fltr'] }).names.event // 'X-Acme-Event'
 */
export function toHeaderStyle({ prefix, userAgent, signatures }: HeaderSettings): HeaderStyle {
  const settings = { prefix, userAgent, signatures };
  const text = JSON.stringify(settings);
  const [hasFltr, hasStandard] = [signatures.includes('fltr'), signatures.includes('standard')];
  const signature = asKey(`${prefix}Signature`);
  return {
    ...settings,
    names: {
      event: asKey(`${prefix}Event`),
      delivery: asKey(`${prefix}Delivery`),
      test: asKey(`${prefix}Test`),
      signature,
    },
    signatureHeaders: [...(hasFltr ? [signature] : []), ...(hasStandard ? ['webhook-signature'] : [])],
    hasFltr,
    hasStandard,
    stored: text === JSON.stringify(defaultHeaderSettings) ? null : text,
  };
}

/** The same string as V8 has it for the name of a property: with another one, each use as a name takes twice as long. */
const asKey = (name: string): string => Object.keys({ [name]: null })[0] ?? name;

/** The style that an attempt stored. */
export function storedHeaderStyle(stored: string | null): HeaderStyle {
  return toHeaderStyle(stored === null ? defaultHeaderSettings : (JSON.parse(stored) as HeaderSettings));
}

const secondsOf = (at: Date) => Math.floor(at.getTime() / 1000);

/**
 * The headers of one attempt without the signatures, so without a secret. The log computes them again. `webhook-id` is sent
 * with all settings, because not every format has the event's id in its body. An unsigned time would protect nobody.
 *
 * @example unsignedHeaders({ style, format: 'fltr', eventId: 'evt_1', eventType: 'order.paid', attemptId: 'att_1', at })['webhook-id'] // 'evt_1'
 */
export function unsignedHeaders(input: UnsignedHeaders): Record<string, string> {
  const { style } = input;
  const headers: Record<string, string> = {
    'Content-Type': contentTypeOf(input.format),
    'User-Agent': style.userAgent,
  };
  headers[style.names.event] = input.eventType;
  headers[style.names.delivery] = input.attemptId;
  headers['webhook-id'] = input.eventId;
  if (style.hasStandard) headers['webhook-timestamp'] = String(secondsOf(input.at));
  if (input.traceparent) headers['traceparent'] = traceparentOfAttempt(input.traceparent, input.attemptId);
  if (input.isTest) headers[style.names.test] = 'true';
  return headers;
}

/**
 * The headers of one attempt. `Content-Length` and `Host` are the HTTP client's.
 *
 * @example attemptHeaders({ style, format: 'fltr', eventId: 'evt_1', eventType: 'order.paid', attemptId: 'att_1', body, at, secrets: { body: 'whsec_…', standard: ['whsec_…'] } })
 */
export function attemptHeaders(input: AttemptHeaders): Record<string, string> {
  const { style, secrets, eventId, body } = input;
  const headers = unsignedHeaders(input);
  if (style.hasFltr) headers[style.names.signature] = signBody(secrets.body, body);
  if (!style.hasStandard) return headers;
  const seconds = secondsOf(input.at);
  headers['webhook-signature'] = [
    ...secrets.standard.map((secret) => signStandard(secret, eventId, seconds, body)),
    ...(secrets.keys ?? []).map((key) => signAsymmetric(key, eventId, seconds, body)),
  ].join(' ');
  return headers;
}
