import type { WebhookFormat } from '../../contracts/webhook-format.ts';
import type { PolicyChange, RateLimit } from '../../contracts/webhook-policy.ts';
import type { ApiKey } from '../../db/api-keys-table.ts';
import type { WebhookRow } from '../../db/webhooks-table.ts';
import type { Deps } from '../../deps.ts';
import { emailAddressesOf, isMailto, maxEmailAddresses } from '../../domain/email-addresses.ts';
import { isAlert } from '../../domain/subscription.ts';
import { ApiError } from '../../errors.ts';
import { fault, validationError } from '../problem-details.ts';
import { requireTarget } from './webhook-checks.ts';

/** E-mails of a webhook, where it has no limit of its own. */
const defaultLimit: RateLimit = { attempts: 30, seconds: 3600 };
const mostAnHour = 100;
/** Fields that apply to HTTP requests only. */
const ofRequests = ['headers', 'auth', 'signatures'] as const satisfies (keyof PolicyChange)[];

type Given = PolicyChange & { url: string; events: readonly string[]; format?: WebhookFormat | undefined };

/** The format of a webhook whose format is not given. */
export const formatOf = ({ url, format }: Pick<Given, 'url' | 'format'>): WebhookFormat =>
  format ?? (isMailto(url) ? 'email' : 'fltr');

/**
 * Checks where a webhook sends its events to: a URL that attempts may reach, or e-mail addresses.
 *
 * @throws ApiError validation_failed
 */
export function requireDestination(deps: Deps, key: ApiKey, given: Given): void {
  if (!isMailto(given.url) && formatOf(given) !== 'email') return requireTarget(deps, given.url);
  requireMayEmail(deps, key);
  requireEmailRules(given);
}

function requireMayEmail({ mailer }: Deps, key: ApiKey): void {
  if (key.portal !== undefined)
    throw validationError([fault('/url', 'cannot be an e-mail address in the portal. Use an https URL')]);
  if (mailer === null)
    throw validationError([
      fault(
        '/url',
        'cannot be an e-mail address: this service has no mail server. Its operator can set FLTR_SMTP_URL and FLTR_SMTP_FROM',
      ),
    ]);
}

function requireEmailRules(given: Given): void {
  const is = (isRight: boolean, pointer: string, message: string) =>
    isRight ? [] : [fault(pointer, message)];
  const faults = [
    ...is(
      emailAddressesOf(given.url) !== null,
      '/url',
      `must be mailto: and 1 to ${maxEmailAddresses} different e-mail addresses separated by commas, such as mailto:ops@example.com`,
    ),
    ...is(formatOf(given) === 'email', '/format', 'must be email for a mailto: URL'),
    ...is(
      isAlert(given.events),
      '/events',
      'may name operational events only, such as webhook.* and delivery.failed, for a mailto: URL',
    ),
    ...ofRequests.flatMap((field) =>
      is(!hasContent(given[field]), `/${field}`, 'cannot be set for a mailto: URL: no HTTP request is sent'),
    ),
    ...is(
      isAllowed(given.rate_limit),
      '/rate_limit',
      `must have seconds: 3600 and at most ${mostAnHour} attempts, for a mailto: URL`,
    ),
  ];
  if (faults.length > 0) throw validationError(faults);
}

function hasContent(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) ? value.includes('v1a') : Object.keys(value).length > 0;
}

const isAllowed = (limit: RateLimit | null | undefined): boolean =>
  limit === undefined || (limit !== null && limit.seconds === 3600 && limit.attempts <= mostAnHour);

/** Test e-mails of an account: no other limit of e-mails counts them. */
const testsPerMinute = 5;

/** @throws ApiError rate_limited */
export async function countTestEmail({ countCall }: Deps, accountId: string): Promise<void> {
  const { calls, endsAt } = await countCall({
    limit: 'test-emails',
    client: accountId,
    perMinute: testsPerMinute,
  });
  if (calls <= testsPerMinute) return;
  throw new ApiError(
    'rate_limited',
    `The limit is ${testsPerMinute} test e-mails a minute for an account. Wait, then continue.`,
    {
      retryAfterSeconds: Math.max(1, Math.ceil((endsAt - Date.now()) / 1000)),
    },
  );
}

/** The policy with the limit that every e-mail webhook has. */
export const withEmailLimit = <Policy extends PolicyChange>(
  given: Pick<Given, 'url' | 'format'>,
  policy: Policy,
): Policy =>
  formatOf(given) === 'email' ? { ...policy, rate_limit: policy.rate_limit ?? defaultLimit } : policy;

/**
 * Checks a change of a webhook. It never changes between requests and e-mails: each has rules of its own from the beginning.
 *
 * @param was the current webhook; its row is locked
 * @throws ApiError validation_failed
 */
export function requireSameKind(
  deps: Deps,
  key: ApiKey,
  was: Pick<WebhookRow, 'url' | 'events' | 'format'>,
  change: { [Field in keyof Given]?: Given[Field] | undefined },
): void {
  const isEmail = was.format === 'email';
  const url = change.url ?? was.url;
  if (isMailto(url) !== isEmail || (change.format === 'email' && !isEmail))
    throw validationError([
      fault(
        change.url === undefined ? '/format' : '/url',
        'cannot change between a URL and e-mail addresses: create another webhook',
      ),
    ]);
  if (!isEmail) return change.url === undefined ? undefined : requireTarget(deps, change.url);
  // Whoever may not choose addresses may still choose the events, or pause it.
  if (change.url !== undefined) requireMayEmail(deps, key);
  requireEmailRules({
    ...change,
    url,
    events: change.events ?? was.events,
    format: change.format ?? was.format,
  });
}
