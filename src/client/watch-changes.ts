import type { Change } from '../contracts/change.ts';
import type { FltrWebhooks } from './fltr-webhooks.ts';
import { FltrWebhooksError } from './request.ts';

type Options = {
  onChange: (change: Change) => void;
  /** A stream has begun. It does not report earlier changes, so read the current state now. */
  onReady: () => void;
  /** There is no stream, or no longer: poll until `onReady`. A 401 or 403 will not pass by itself. */
  onLost: (error: unknown) => void;
};

const [minPauseMs, maxPauseMs] = [1000, 30_000];
/** After a stream that lasted for so long, the next one is opened soon. */
const stableMs = 10_000;

/**
 * Keeps a stream of the account's changes open: when it ends, another one is opened after a pause. It stops when it is refused
 * for good.
 *
 * @returns a function that ends it
 */
export function watchChanges(
  client: Pick<FltrWebhooks, 'streamChanges'>,
  { onChange, onReady, onLost }: Options,
): () => void {
  const stop = new AbortController();
  const run = async (): Promise<void> => {
    for (let pauseMs = minPauseMs; !stop.signal.aborted; pauseMs = Math.min(maxPauseMs, pauseMs * 2)) {
      const startedAt = performance.now();
      let cause: unknown = null;
      try {
        for await (const event of client.streamChanges(stop.signal)) {
          if (stop.signal.aborted) return;
          if (event.type === 'ready') onReady();
          if (event.type === 'changed') onChange(event);
        }
      } catch (error) {
        cause = error;
      }
      if (stop.signal.aborted) return;
      onLost(cause);
      if (cause instanceof FltrWebhooksError && [401, 403, 404].includes(cause.status)) return;
      if (performance.now() - startedAt > stableMs) pauseMs = minPauseMs;
      // Random, so that the clients of a process that ended do not return all at once.
      await pause(pauseMs * (0.5 + Math.random() / 2), stop.signal);
    }
  };
  void run();
  return () => stop.abort();
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
