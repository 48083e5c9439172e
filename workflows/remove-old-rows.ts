import { continueAsNew, proxyActivities, sleep, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/activities.ts';
import { activityOptions } from './activity-options.ts';
import type { RemoveOldRowsInput, RemoveOldRowsResult } from './contract.ts';

const { removeOldBatch } = proxyActivities<Activities>(activityOptions);

/** A run with a longer history continues as a new run. */
const maxHistoryLength = 150;

/** Removes the rows that are past their retention, table by table. The activity has the list of tables. */
export async function removeOldRows(input: RemoveOldRowsInput): Promise<RemoveOldRowsResult> {
  let { step, removed } = input;
  for (;;) {
    const batch = await removeOldBatch({ step });
    removed += batch.removed;
    if (batch.next === null) return { removed };
    step = batch.next;
    // Leaves the database time for deliveries.
    if (batch.removed > 0) await sleep('1 second');
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    if (continueAsNewSuggested || historyLength > maxHistoryLength)
      await continueAsNew<typeof removeOldRows>({ step, removed });
  }
}
