import type { Logger } from 'pino';
import { isDatabaseUnavailable, type Pool } from '../db/pool.ts';
import {
  claimOperations,
  endOperation,
  setOperationCheck,
  type StartableOperation,
  type OperationToCheck,
} from '../db/operations-table.ts';
import { every, type Loop } from '../every.ts';
import {
  isAlreadyStarted,
  isTemporalUnavailable,
  withFallback,
  within,
  type Temporal,
} from '../temporal/client.ts';
import {
  operationSignalNames,
  taskQueue,
  type RunOperationInput,
  type OperationSignal,
} from '../../workflows/contract.ts';
import { searchKeys } from '../../workflows/delivery-start.ts';
import { callTimeoutMs, checkRunningSeconds } from './limits.ts';
import { describeWorkflow } from './start.ts';

type Deps = { pool: Pool; temporal: Temporal; log: Logger };

const batchSize = 20;
const checkMs = 5000;

/** An operation's workflow has its id, and is started once: after it has ended, never again. */
function startOptions({ id, accountId, action, webhookId, status }: StartableOperation) {
  const input: RunOperationInput = { operationId: id, isPaused: status === 'paused' };
  return {
    taskQueue,
    workflowId: id,
    workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
    args: [input] as [RunOperationInput],
    staticSummary: webhookId === null ? action : `${action} ${webhookId}`,
    typedSearchAttributes: [
      { key: searchKeys.account, value: accountId },
      ...(webhookId === null ? [] : [{ key: searchKeys.webhook, value: webhookId }]),
    ],
  };
}

/** Starts the workflow, where none was before. @throws where Temporal cannot be reached: the reconciler starts it then */
export async function startOperation({ pool, temporal }: Deps, operation: StartableOperation): Promise<void> {
  await withFallback(isAlreadyStarted, null, () =>
    within(temporal, callTimeoutMs, () =>
      temporal.client.workflow.start('runOperation', startOptions(operation)),
    ),
  );
  await setOperationCheck(pool, operation.id, checkRunningSeconds);
}

/** Signals the workflow, starting it first where it was not yet. False where it has ended. */
export function signalOperation(
  temporal: Temporal,
  operation: StartableOperation,
  signal: OperationSignal,
  by: string,
): Promise<boolean> {
  const options = { ...startOptions(operation), signal: operationSignalNames[signal], signalArgs: [{ by }] };
  return withFallback(isAlreadyStarted, false, async () => {
    await within(temporal, callTimeoutMs, () =>
      temporal.client.workflow.signalWithStart('runOperation', options),
    );
    return true;
  });
}

/** Makes sure that each operation that has not ended has its workflow. Every process runs one. */
export function startOperationReconciler(deps: Deps): Loop {
  return every(
    checkMs,
    async () => {
      const claimed = await claimOperations(deps.pool, batchSize);
      for (const operation of claimed) await reconcile(deps, operation);
      return claimed.length === batchSize;
    },
    (error) => deps.log.warn({ err: error }, 'the operations could not be checked; it tries again'),
  );
}

async function reconcile(deps: Deps, operation: OperationToCheck): Promise<void> {
  const { pool, temporal, log } = deps;
  const { id } = operation;
  try {
    const run = await describeWorkflow(temporal, Date.now() + callTimeoutMs, id);
    if (run === null) return await startOperation(deps, operation);
    const { status } = run;
    if (status === 'RUNNING') {
      // A paused one would never notice.
      if (operation.mustEnd) await signalOperation(temporal, operation, 'cancel', 'service');
      return await setOperationCheck(pool, id, checkRunningSeconds);
    }
    log.warn({ operation: id, status }, "an operation's workflow was ended from outside: it ends canceled");
    await endOperation(pool, id, 'canceled');
  } catch (error) {
    if (isTemporalUnavailable(error) || isDatabaseUnavailable(error)) throw error;
    log.error({ err: error, operation: id }, 'an operation could not be checked');
  }
}
