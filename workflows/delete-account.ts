import { continueAsNew, proxyActivities, sleep, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/activities.ts';
import { activityOptions } from './activity-options.ts';
import type { DeleteAccountInput, DeleteAccountResult } from './contract.ts';

const { eraseAccount } = proxyActivities<Activities>(activityOptions);

/** A run with a longer history continues as a new run. */
const maxHistoryLength = 150;

/** Erases an account, batch by batch. The account's row and the remaining rows show its progress. */
export async function deleteAccount(input: DeleteAccountInput): Promise<DeleteAccountResult> {
  for (;;) {
    const { next } = await eraseAccount(input);
    if (next === 'end') return { status: 'erased' };
    // Leaves the database time for deliveries; or waits for statements and workflows that still run.
    await sleep(next === 'more' ? '1 second' : '5 seconds');
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    if (continueAsNewSuggested || historyLength > maxHistoryLength)
      await continueAsNew<typeof deleteAccount>(input);
  }
}
