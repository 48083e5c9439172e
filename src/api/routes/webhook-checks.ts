import type { PolicyChange } from '../../contracts/webhook-policy.ts';
import type { PolicyToWrite } from '../../db/webhook-policy.ts';
import type { Refusal } from '../../db/webhooks-table.ts';
import type { Deps } from '../../deps.ts';
import { newSigningKey, signingKeyContext } from '../../domain/signing-key.ts';
import { ApiError } from '../../errors.ts';
import { findHostFault } from '../../outbound/host-faults.ts';
import { noSuchAccount } from '../auth.ts';
import { fault, validationError } from '../problem-details.ts';

/** @throws ApiError validation_failed where no attempt could reach the URL */
export function requireTarget({ guard }: Pick<Deps, 'guard'>, url: string): void {
  const verdict = guard.checkUrl(url);
  // In an attempt this is a failed lookup that is retried; here the caller can correct the URL at once.
  const message = verdict.ok ? findHostFault(verdict.url.hostname) : verdict.message;
  if (message !== null) throw validationError([{ pointer: '/url', message }]);
}

/**
 * Gives a webhook a key pair with its first `v1a`.
 *
 * @throws ApiError validation_failed where requests have no header for it
 */
export function withSigningKey<Policy extends Pick<PolicyChange, 'signatures'>>(
  { secretBox, headerStyle }: Pick<Deps, 'secretBox' | 'headerStyle'>,
  policy: Policy,
): Policy & Pick<PolicyToWrite, 'sealSigningKey'> {
  if (policy.signatures?.includes('v1a') !== true) return policy;
  if (!headerStyle.hasStandard) {
    const reason =
      'cannot have v1a: this service sends no webhook-signature. Leave v1a out, or let its operator add standard to FLTR_SIGNATURES';
    throw validationError([fault('/signatures', reason)]);
  }
  return { ...policy, sealSigningKey: (id) => secretBox.seal(newSigningKey(), signingKeyContext(id)) };
}

/** Why a webhook was not inserted or changed, for the caller. */
export function toRefusal(refusal: Refusal): ApiError {
  if (refusal === 'no_account') return noSuchAccount();
  if (refusal === 'external_id_taken')
    return new ApiError(
      'external_id_taken',
      'Another webhook of the account has this external id. Choose another one, or change that webhook.',
      { errors: [fault('/external_id', 'belongs to another webhook')] },
    );
  return new ApiError(
    'webhook_limit_reached',
    `The account may have ${refusal.limit} webhooks${refusal.of === 'email' ? ' that send e-mails' : ''}. Delete one that is no longer needed.`,
  );
}
