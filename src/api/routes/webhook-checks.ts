import type { Refusal } from '../../db/webhooks-table.ts';
import type { Deps } from '../../deps.ts';
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
    `The account may have ${refusal.limit} webhooks. Delete one that is no longer needed.`,
  );
}
