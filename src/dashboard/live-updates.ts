import type { Query, QueryClient } from '@tanstack/react-query';
import { watchChanges } from '../client/watch-changes.ts';
import { everyChange, mergeChanges, type Change, type Topic } from '../contracts/change.ts';
import { FltrWebhooksError } from '../client/request.ts';
import type { Session } from '../contracts/session.ts';
import { isStreaming, setStreaming } from './poll-every.ts';
import { sessionQuery } from './queries.ts';
import { api } from './session-api.ts';

/** The queries that show a topic, by the beginning of their keys. */
const keysOfTopics: Record<Topic, readonly string[]> = {
  events: ['events'],
  deliveries: ['deliveries', 'events', 'stats'],
  webhooks: ['webhooks', 'stats'],
  operations: ['operations', 'recoveries'],
};
/** Figures of many deliveries: they cost more to read, and matter less. */
const isFigure = ([list, kind]: readonly unknown[]): boolean => list === 'stats' || kind === 'counts';

/** Between two reads while changes go on: the first change shows at once. */
const pauseMs = 2000;
const figuresPauseMs = 5000;

/** Reads the data of the page again when the account's stream says that it has changed, as long as the page is visible. */
export function startLiveUpdates(client: QueryClient): void {
  let stop: (() => void) | null = null;
  const lists = paced(pauseMs, (change) => invalidate(client, change, (key) => !isFigure(key)));
  const stats = paced(figuresPauseMs, (change) => invalidate(client, change, isFigure));
  const onChange = (change: Change): void => {
    lists(change);
    stats(change);
  };
  const start = (): void => {
    stop ??= watchChanges(api, {
      onChange,
      onReady() {
        setStreaming(true);
        onChange(everyChange);
      },
      onLost(error) {
        const isRefused = error instanceof FltrWebhooksError && error.status === 401;
        // A refetch also makes each query poll again; one that is refused shows that the session has ended.
        if (isStreaming() || isRefused) onChange(everyChange);
        setStreaming(false);
        if (isRefused) end();
      },
    });
  };
  const end = (): void => {
    stop?.();
    stop = null;
    setStreaming(false);
  };
  // A browser opens few connections to a host, for all its tabs.
  const follow = () => (document.visibilityState === 'visible' && hasAccount() ? start() : end());
  // A service key that acts for no account has no stream.
  const hasAccount = () => {
    const session = client.getQueryState<Session>(sessionQuery.queryKey);
    return session?.status === 'success' && session.data?.account_id !== null;
  };
  document.addEventListener('visibilitychange', follow);
  client.getQueryCache().subscribe(({ type, query }) => {
    if (query.queryKey[0] === 'session' && (type === 'updated' || type === 'removed')) follow();
  });
  follow();
}

function invalidate(
  client: QueryClient,
  { topics, ids }: Change,
  isIts: (key: readonly unknown[]) => boolean,
): void {
  const lists = new Set<unknown>(topics.flatMap((topic) => keysOfTopics[topic]));
  const hasChanged = ({ queryKey, meta, state: { error } }: Query): boolean => {
    const [list, kind, id] = queryKey;
    if (!lists.has(list) || !isIts(queryKey) || meta?.['isLive'] === false) return false;
    // Read again, its page would say for a moment that it is loading.
    if (kind === 'one' && error instanceof FltrWebhooksError && error.status === 404) return false;
    return list !== 'deliveries' || kind !== 'one' || ids === null || ids.includes(String(id));
  };
  void client.invalidateQueries({ predicate: hasChanged }, { cancelRefetch: false });
}

/** Runs it for the first change at once, and for those that follow together, `ms` after the last run. */
function paced(ms: number, run: (change: Change) => void): (change: Change) => void {
  let waiting: Change | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const pass = (change: Change): void => {
    run(change);
    timer = setTimeout(() => {
      timer = null;
      if (!waiting) return;
      const next = waiting;
      waiting = null;
      pass(next);
    }, ms);
  };
  return (change) => {
    if (timer === null) pass(change);
    else waiting = mergeChanges(waiting, change);
  };
}
