import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/activities.ts';
import { activityOptions } from './activity-options.ts';

const { evaluateAutoDisable: evaluateBatch } = proxyActivities<Activities>(activityOptions);

/** Judges every active webhook of every account, batch after batch; a Temporal Schedule runs it. */
export async function evaluateAutoDisable(): Promise<{ disabled: number }> {
  let disabled = 0;
  for (let after: string | null = ''; after !== null;) {
    const batch: Awaited<ReturnType<typeof evaluateBatch>> = await evaluateBatch({ after });
    disabled += batch.disabled;
    after = batch.next;
  }
  return { disabled };
}
