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
import type { Activities } from '../activities/index.ts';
import { activityOptions } from './activity-options.ts';
import {
  recoverySignalNames,
  type Asked,
  type RecoverWebhookInput,
  type RecoverWebhookResult,
} from './contract.ts';

const pause = defineSignal<[Asked?]>(recoverySignalNames.pause);
const resume = defineSignal<[Asked?]>(recoverySignalNames.resume);
const cancel = defineSignal<[Asked?]>(recoverySignalNames.cancel);

const { recoverPage, settleRecovery } = proxyActivities<Activities>(activityOptions);

/** Between two pages: together with a page's size it bounds how many deliveries are sent again in a second. */
const pauseMs = 1000;
/** A run that is longer goes on as a new one: at most about a hundred pages are replayed, or read in the Web UI. */
const maxHistoryLength = 1000;

/** Sends again what failed at a webhook, or was missed, page by page. How far it is stands in the recovery's row. */
export async function recoverWebhook(input: RecoverWebhookInput): Promise<RecoverWebhookResult> {
  const { recoveryId } = input;
  let wanted: 'running' | 'paused' | 'canceled' = input.isPaused ? 'paused' : 'running';
  let told = 0;
  // The handlers set it while the loop waits, which the compiler does not see.
  const isWanted = (status: typeof wanted): boolean => wanted === status;
  const want = (status: typeof wanted) => {
    told += 1;
    if (wanted !== 'canceled') wanted = status;
  };
  setHandler(pause, () => want('paused'));
  setHandler(resume, () => want('running'));
  setHandler(cancel, () => want('canceled'));

  let shown: 'running' | 'paused' = input.isPaused ? 'paused' : 'running';
  const show = async (status: 'running' | 'paused' | 'canceled') => {
    await settleRecovery({ recoveryId, status });
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
        const toldBefore = told;
        const page = await recoverPage({ recoveryId });
        if (page.next === 'end') return { status: page.status };
        if (page.next === 'pause') {
          // Whoever resumed it meanwhile may have activated the webhook first: the next page shows.
          shown = 'paused';
          if (told === toldBefore) wanted = 'paused';
        } else if (page.sent > 0) {
          await condition(() => !isWanted('running'), pauseMs);
        }
      }
      if (workflowInfo().historyLength > maxHistoryLength && isWanted(shown))
        await continueAsNew<typeof recoverWebhook>({ recoveryId, isPaused: shown === 'paused' });
    }
  } catch (error) {
    // Canceled in the Web UI or by the temporal command: as by our own signal.
    if (isCancellation(error)) await CancellationScope.nonCancellable(() => show('canceled'));
    throw error;
  }
}
