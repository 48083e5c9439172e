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
import { operationSignalNames, type RunOperationInput, type RunOperationResult } from './contract.ts';

const pause = defineSignal<[SignalRequest?]>(operationSignalNames.pause);
const resume = defineSignal<[SignalRequest?]>(operationSignalNames.resume);
const cancel = defineSignal<[SignalRequest?]>(operationSignalNames.cancel);

const { runOperationPage, setOperationStatus } = proxyActivities<Activities>(activityOptions);

/** A run with a longer history continues as a new run, so that each can be read and replayed at once. */
const maxHistoryLength = 150;

/** Acts on many deliveries, page by page. The operation's row has its progress. */
export async function runOperation(input: RunOperationInput): Promise<RunOperationResult> {
  const { operationId } = input;
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
    await setOperationStatus({ operationId, status });
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
        const page = await runOperationPage({ operationId });
        if (page.next === 'end') return { status: page.status };
        if (page.next === 'pause') {
          // Whoever resumed it meanwhile may have activated the webhook first: the next page shows.
          shown = 'paused';
          if (signaled === signaledBefore) wanted = 'paused';
        } else if (page.sent > 0) {
          // The pause after each page bounds the rate, so a quick pause and resume must not shorten it.
          await condition(() => isWanted('canceled'), page.pauseMs);
        }
      }
      const { continueAsNewSuggested, historyLength } = workflowInfo();
      if ((continueAsNewSuggested || historyLength > maxHistoryLength) && isWanted(shown))
        await continueAsNew<typeof runOperation>({ operationId, isPaused: shown === 'paused' });
    }
  } catch (error) {
    // Canceled in the Web UI or by the temporal command: as by our own signal.
    if (isCancellation(error)) await CancellationScope.nonCancellable(() => show('canceled'));
    throw error;
  }
}
