import { continueAsNew, proxyActivities, sleep, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/activities.ts';
import { activityOptions } from './activity-options.ts';
import type { DeleteAccountInput, DeleteAccountResult } from './contract.ts';

const { eraseAccount } = proxyActivities<Activities>(activityOptions);

/** A longer history goes on as a new run. */
const maxHistoryLength = 150;

/** Erases an account, batch by batch. How far it is stands in the account's row and in what is left of it. */
export async function deleteAccount(input: DeleteAccountInput): Promise<DeleteAccountResult> {
  for (;;) {
    const { next } = await eraseAccount(input);
    if (next === 'end') return { status: 'erased' };
    // Leaves the database time for deliveries; or waits for what still runs.
    await sleep(next === 'more' ? '1 second' : '5 seconds');
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    if (continueAsNewSuggested || historyLength > maxHistoryLength)
      await continueAsNew<typeof deleteAccount>(input);
  }
}
