import { setTimeout as delay } from 'node:timers/promises';
import type { DeliveryAction } from '../../src/contracts/operation.ts';
import { choose } from './act-webhooks.ts';
import type { World } from './world.ts';

export type OperationStep = {
  webhook: number;
  action: DeliveryAction;
  perSecond: number;
  /** The call on the operation a moment after its start. */
  next: 'nothing' | 'pause' | 'cancel';
};

const nextMs = 300;
/** Later than the call is read, soon enough to come during the run. */
const rescheduledMs = 2000;

/** One call that acts on all deliveries of a webhook which its action can do something to. */
export async function actOnMany(world: World, step: OperationStep): Promise<void> {
  const { api, model } = world;
  const webhook = choose(world, step.webhook);
  if (!webhook) return;
  if (step.action === 'cancel') webhook.isCanceledInBulk = true;
  else webhook.operations += 1;
  const since = new Date(Date.now() - 3_600_000).toISOString();
  const response = await api<{ id: string }>('POST', '/v1/deliveries/actions', {
    body: {
      action: step.action,
      filter: { webhook_id: webhook.id, since },
      per_second: step.perSecond,
      ...(step.action === 'reschedule'
        ? { next_attempt_at: new Date(Date.now() + rescheduledMs).toISOString() }
        : {}),
    },
    // 422: the time has passed before it was read.
    expect: step.action === 'reschedule' ? [202, 422] : [202],
  });
  if (response?.status !== 202) return;
  const { id } = response.body;
  model.operationIds.add(id);
  if (step.next === 'nothing') return;
  await delay(nextMs);
  // 409: it has ended.
  await api('POST', `/v1/operations/${id}/${step.next}`, { expect: [202, 409], isRepeatable: true });
}

/** Resumes paused ones, so that all of them end. */
export async function resumeOperations({ api, model }: World): Promise<void> {
  for (const id of model.operationIds)
    await api('POST', `/v1/operations/${id}/resume`, { expect: [202, 409], isRepeatable: true });
}

type Shown = {
  status: string;
  done: number;
  failed: number;
  failures: { count: number }[];
  outcome: Record<string, number> | null;
};

/** Whether all operations have ended. One that has must account for each delivery that it acted on. */
export async function haveOperationsEnded({ api, model }: World): Promise<boolean> {
  for (const id of model.operationIds) {
    const response = await api<Shown>('GET', `/v1/operations/${id}`, { expect: [200], isRepeatable: true });
    if (response === null || response.body.status === 'running') return false;
    const fault = operationFault(response.body);
    if (fault) model.faults.push(`${id}: ${fault}`);
    model.operationIds.delete(id);
  }
  return true;
}

/** @example operationFault({ status: 'completed', done: 2, failed: 1, failures: [{ count: 1 }], outcome: { delivered: 2 } }) // null */
export function operationFault({ status, done, failed, failures, outcome }: Shown): string | null {
  const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
  const explained = sum(failures.map(({ count }) => count));
  if (explained !== failed) return `${failed} failed, and it has reasons for ${explained}`;
  if (outcome === null) return `it is ${status}, and has no outcome`;
  // A later operation may have acted on them since.
  const counted = sum(Object.values(outcome));
  return counted > done + failed ? `it acted on ${done + failed}, and its outcome counts ${counted}` : null;
}
