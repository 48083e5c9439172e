import type { Logger } from 'pino';
import { isDatabaseUnavailable, type Pool } from '../db/pool.ts';
import {
  claimRecoveries,
  endRecovery,
  setRecoveryCheck,
  type RecoveryRow,
  type RecoveryToCheck,
} from '../db/recoveries-table.ts';
import { every, type Loop } from '../every.ts';
import {
  isAlreadyStarted,
  isTemporalUnavailable,
  withFallback,
  within,
  type Temporal,
} from '../temporal/client.ts';
import {
  recoverySignalNames,
  taskQueue,
  type RecoverWebhookInput,
  type RecoverySignal,
} from '../../workflows/contract.ts';
import { searchKeys } from '../../workflows/delivery-start.ts';
import { callTimeoutMs, checkRunningSeconds } from './limits.ts';
import { describeWorkflow } from './start.ts';

type Deps = { pool: Pool; temporal: Temporal; log: Logger };
type Startable = Pick<RecoveryRow, 'id' | 'accountId' | 'webhookId' | 'status'>;

const batchSize = 20;
const checkMs = 5000;

/** A recovery's workflow has its id, and is started once: after it has ended, never again. */
function startOptions({ id, accountId, webhookId, status }: Startable) {
  const input: RecoverWebhookInput = { recoveryId: id, isPaused: status === 'paused' };
  return {
    taskQueue,
    workflowId: id,
    workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
    args: [input] as [RecoverWebhookInput],
    staticSummary: `recover ${webhookId}`,
    typedSearchAttributes: [
      { key: searchKeys.account, value: accountId },
      { key: searchKeys.webhook, value: webhookId },
    ],
  };
}

/** Starts the workflow, where none was before. @throws where Temporal cannot be reached: the reconciler starts it then */
export async function startRecovery({ pool, temporal }: Deps, recovery: Startable): Promise<void> {
  await withFallback(isAlreadyStarted, null, () =>
    within(temporal, callTimeoutMs, () =>
      temporal.client.workflow.start('recoverWebhook', startOptions(recovery)),
    ),
  );
  await setRecoveryCheck(pool, recovery.id, checkRunningSeconds);
}

/** Signals the workflow, starting it first where it was not yet. False where it has ended. */
export function signalRecovery(
  temporal: Temporal,
  recovery: Startable,
  signal: RecoverySignal,
  by: string,
): Promise<boolean> {
  const options = { ...startOptions(recovery), signal: recoverySignalNames[signal], signalArgs: [{ by }] };
  return withFallback(isAlreadyStarted, false, async () => {
    await within(temporal, callTimeoutMs, () =>
      temporal.client.workflow.signalWithStart('recoverWebhook', options),
    );
    return true;
  });
}

/** Makes sure that each recovery that has not ended has its workflow. Every process runs one. */
export function startRecoveryReconciler(deps: Deps): Loop {
  return every(
    checkMs,
    async () => {
      const claimed = await claimRecoveries(deps.pool, batchSize);
      for (const recovery of claimed) await reconcile(deps, recovery);
      return claimed.length === batchSize;
    },
    (error) => deps.log.warn({ err: error }, 'the recoveries could not be checked; it tries again'),
  );
}

async function reconcile(deps: Deps, recovery: RecoveryToCheck): Promise<void> {
  const { pool, temporal, log } = deps;
  const { id } = recovery;
  try {
    const run = await describeWorkflow(temporal, Date.now() + callTimeoutMs, id);
    if (run === null) return await startRecovery(deps, recovery);
    const { status } = run;
    if (status === 'RUNNING') {
      // A paused one would never notice.
      if (recovery.isWebhookDeleted) await signalRecovery(temporal, recovery, 'cancel', 'service');
      return await setRecoveryCheck(pool, id, checkRunningSeconds);
    }
    log.warn({ recovery: id, status }, "a recovery's workflow was ended from outside: it ends canceled");
    await endRecovery(pool, id, 'canceled');
  } catch (error) {
    if (isTemporalUnavailable(error) || isDatabaseUnavailable(error)) throw error;
    log.error({ err: error, recovery: id }, 'a recovery could not be checked');
  }
}
