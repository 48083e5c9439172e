import type { Logger } from 'pino';
import { claimDeletions, setDeletionCheck } from '../db/account-deletions.ts';
import { isDatabaseUnavailable, type Pool } from '../db/pool.ts';
import { every, type Loop } from '../every.ts';
import {
  isAlreadyStarted,
  isTemporalUnavailable,
  withFallback,
  within,
  type Temporal,
} from '../temporal/client.ts';
import { taskQueue, type DeleteAccountInput } from '../../workflows/contract.ts';
import { searchKeys } from '../../workflows/delivery-start.ts';
import { callTimeoutMs, checkRunningSeconds } from './limits.ts';

type Deps = { pool: Pool; temporal: Temporal; log: Logger };

const batchSize = 20;
const checkMs = 5000;

/**
 * Starts the workflow that erases an account, unless it runs. One that was ended from outside is started again: the account's
 * row has the mark of a deletion.
 *
 * @throws where Temporal cannot be reached: the reconciler starts it then
 */
export async function startAccountDeletion({ pool, temporal }: Deps, accountId: string): Promise<void> {
  const input: DeleteAccountInput = { accountId };
  await withFallback(isAlreadyStarted, null, () =>
    within(temporal, callTimeoutMs, () =>
      temporal.client.workflow.start('deleteAccount', {
        taskQueue,
        workflowId: `delete_account_${accountId}`,
        args: [input],
        staticSummary: `delete account ${accountId}`,
        typedSearchAttributes: [{ key: searchKeys.account, value: accountId }],
      }),
    ),
  );
  await setDeletionCheck(pool, accountId, checkRunningSeconds);
}

/** Makes sure that each account that is being deleted has its workflow. Every process runs one. */
export function startDeletionReconciler(deps: Deps): Loop {
  return every(
    checkMs,
    async () => {
      const claimed = await claimDeletions(deps.pool, batchSize);
      for (const accountId of claimed) {
        try {
          await startAccountDeletion(deps, accountId);
        } catch (error) {
          if (isTemporalUnavailable(error) || isDatabaseUnavailable(error)) throw error;
          deps.log.error(
            { err: error, account: accountId },
            'the deletion of an account could not be checked',
          );
        }
      }
      return claimed.length === batchSize;
    },
    (error) =>
      deps.log.warn({ err: error }, 'the deletions of accounts could not be checked; it tries again'),
  );
}
