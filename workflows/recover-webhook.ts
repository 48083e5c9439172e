import {
  CancellationScope,
  condition,
  continueAsNew,
  defineSignal,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../activities/activities.ts';
import type { SignalRequest } from '../src/domain/delivery-run.ts';
import { activityOptions } from './activity-options.ts';
import { recoverySignalNames, type RecoverWebhookInput, type RecoverWebhookResult } from './contract.ts';

const pause = defineSignal<[SignalRequest?]>(recoverySignalNames.pause);
const resume = defineSignal<[SignalRequest?]>(recoverySignalNames.resume);
const cancel = defineSignal<[SignalRequest?]>(recoverySignalNames.cancel);

const { recoverPage, setRecoveryStatus } = proxyActivities<Activities>(activityOptions);

/** Between two pages: together with a page's size it bounds how many deliveries are sent again in a second. */
const pauseMs = 1000;
/** A longer history goes on as a new run, so that each can be read and replayed at once. */
const maxHistoryLength = 150;

/** Sends again what failed at a webhook, or was missed, page by page. How far it is stands in the recovery's row. */
export async function recoverWebhook(input: RecoverWebhookInput): Promise<RecoverWebhookResult> {
  const { recoveryId } = input;
  let wanted: 'running' | 'paused' | 'canceled' = input.isPaused ? 'paused' : 'running';
  let signaled = 0;
  // The handlers set it while the loop waits, which the compiler does not see.
  const isWanted = (status: typeof wanted): boolean => wanted === status;
  const want = (status: typeof wanted) => {
    signaled += 1;
    if (wanted !== 'canceled') wanted = status;
  };
  setHandler(pause, () => want('paused'));
  setHandler(resume, () => want('running'));
  setHandler(cancel, () => want('canceled'));

  let shown: 'running' | 'paused' = input.isPaused ? 'paused' : 'running';
  const show = async (status: 'running' | 'paused' | 'canceled') => {
    await setRecoveryStatus({ recoveryId, status });
    setCurrentDetails(`${status.slice(0, 1).toUpperCase()}${status.slice(1)}`);
  };
  try {
    for (;;) {
      if (isWanted('canceled')) {
        await show('canceled');
        return { status: 'canceled' };
      }
      if (!isWanted(shown)) {
        shown = shown === 'paused' ? 'running' : 'paused';
        await show(shown);
      } else if (shown === 'paused') {
        await condition(() => !isWanted('paused'));
      } else {
        const signaledBefore = signaled;
        const page = await recoverPage({ recoveryId });
        if (page.next === 'end') return { status: page.status };
        if (page.next === 'pause') {
          // Whoever resumed it meanwhile may have activated the webhook first: the next page shows.
          shown = 'paused';
          if (signaled === signaledBefore) wanted = 'paused';
        } else if (page.sent > 0) {
          await condition(() => !isWanted('running'), pauseMs);
        }
      }
      const { continueAsNewSuggested, historyLength } = workflowInfo();
      if ((continueAsNewSuggested || historyLength > maxHistoryLength) && isWanted(shown))
        await continueAsNew<typeof recoverWebhook>({ recoveryId, isPaused: shown === 'paused' });
    }
  } catch (error) {
    // Canceled in the Web UI or by the temporal command: as by our own signal.
    if (isCancellation(error)) await CancellationScope.nonCancellable(() => show('canceled'));
    throw error;
  }
}
