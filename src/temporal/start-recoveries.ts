import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { Logger } from 'pino';
import type { Pool } from '../db/pool.ts';
import {
  claimRecoveries,
  endRecovery,
  setRecoveryCheck,
  type RecoveryRow,
  type RecoveryToCheck,
} from '../db/recoveries.ts';
import {
  recoverySignalNames,
  taskQueue,
  type Asked,
  type RecoverWebhookInput,
  type RecoverySignal,
} from '../../workflows/contract.ts';
import { isNotFound, isTemporalUnavailable, within, type Temporal } from './client.ts';

type Deps = { pool: Pool; temporal: Temporal; log: Logger };
type Startable = Pick<RecoveryRow, 'id' | 'accountId' | 'webhookId' | 'status'>;

const callTimeoutMs = 10_000;
const recheckSeconds = 300;
const batchSize = 20;

const keys = {
  account: defineSearchAttributeKey('FltrAccount', 'KEYWORD'),
  webhook: defineSearchAttributeKey('FltrWebhook', 'KEYWORD_LIST'),
};

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
      { key: keys.account, value: accountId },
      { key: keys.webhook, value: [webhookId] },
    ],
  };
}

/** Starts the workflow, where none was before. @throws where Temporal cannot be reached: the sweep starts it then */
export async function startRecovery({ pool, temporal }: Deps, recovery: Startable): Promise<void> {
  try {
    await within(temporal, callTimeoutMs, () =>
      temporal.client.workflow.start('recoverWebhook', startOptions(recovery)),
    );
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  await setRecoveryCheck(pool, recovery.id, recheckSeconds);
}

/** Signals the workflow, starting it first where it was not yet. False where it has ended. */
export async function steerRecovery(
  temporal: Temporal,
  recovery: Startable,
  signal: RecoverySignal,
  by: string,
): Promise<boolean> {
  const asked: Asked = { by };
  try {
    await within(temporal, callTimeoutMs, () =>
      temporal.client.workflow.signalWithStart('recoverWebhook', {
        ...startOptions(recovery),
        signal: recoverySignalNames[signal],
        signalArgs: [asked],
      }),
    );
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** Sees to it, again and again, that each recovery that has not ended has its workflow. Every process runs one. */
export function startRecoverySweep(deps: Deps): { close(): Promise<void> } {
  const stop = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        for (const recovery of await claimRecoveries(deps.pool, batchSize)) await agree(deps, recovery);
      } catch (error) {
        deps.log.warn({ err: error }, 'the recoveries could not be checked; it tries again');
      }
      await delay(5000, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  const running = loop();
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}

async function agree(deps: Deps, recovery: RecoveryToCheck): Promise<void> {
  const { pool, temporal, log } = deps;
  const { id } = recovery;
  try {
    const status = await statusOf(temporal, id);
    if (status === null) return await startRecovery(deps, recovery);
    if (status === 'RUNNING') {
      // A paused one would never notice.
      if (recovery.isWebhookDeleted) await steerRecovery(temporal, recovery, 'cancel', 'service');
      return await setRecoveryCheck(pool, id, recheckSeconds);
    }
    log.warn({ recovery: id, status }, "a recovery's workflow was ended from outside: it ends canceled");
    await endRecovery(pool, id, 'canceled');
  } catch (error) {
    if (isTemporalUnavailable(error)) throw error;
    log.error({ err: error, recovery: id }, 'a recovery could not be checked');
  }
}

async function statusOf(temporal: Temporal, id: string): Promise<string | null> {
  try {
    const { status } = await within(temporal, callTimeoutMs, () =>
      temporal.client.workflow.getHandle(id).describe(),
    );
    return status.name;
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}
