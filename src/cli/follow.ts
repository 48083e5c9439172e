import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import type { Page } from '../client/pages.ts';
import { FltrWebhooksError } from '../client/request.ts';
import { watchChanges } from '../client/watch-changes.ts';
import type { Topic } from '../contracts/change.ts';

const pollMs = 1000;
/** While a stream reports changes: in case that it missed one. */
const slowPollMs = 15_000;
/** Between two reads. */
const pauseMs = 250;
/** Pages read per poll. If there are more, the oldest items are skipped, and a line is printed. */
const maxPages = 10;
const pageSize = 100;
/**
 * Reading stops where so many items in a row are known: two processes may commit in another order than that of their ids, so
 * a new item can come after one that is known.
 */
const knownInRow = 10;
const maxRemembered = 20_000;
/** After a call that failed because the service was away. */
const retryMs = 1000;

type Options<Item> = {
  client: Pick<FltrWebhooks, 'streamChanges'>;
  /** The topic of the changes to this list. */
  topic: Topic;
  list: (page: { limit: number; cursor?: string }) => Promise<Page<Item>>;
  idOf: (item: Item) => string;
  /** An item is returned again when this changes. */
  stateOf: (item: Item) => string;
  /** The number of existing items to start with. */
  last: number;
};

/**
 * Reads a list, newest first, whenever it changes, and yields new and changed items, oldest first. Earlier items are not
 * watched. While the service is away, it waits for it.
 */
export async function* follow<Item>({
  client,
  topic,
  list,
  idOf,
  stateOf,
  last,
}: Options<Item>): AsyncGenerator<Item, never> {
  const changes = waitForChanges(client, topic);
  try {
    const seen = new LRUCache<string, string>({ max: maxRemembered });
    const first = await list({ limit: pageSize });
    for (const item of first.data) seen.set(idOf(item), stateOf(item));
    yield* first.data.slice(0, last).toReversed();
    // Older items existed before the start.
    const lastId = first.next_cursor === null ? null : idOf(first.data.at(-1) as Item);
    const isNew = (item: Item): boolean => seen.get(idOf(item)) !== stateOf(item);
    for (;;) {
      await changes.next();
      const news: Item[] = [];
      let cursor: string | null = null;
      let pages = 0;
      do {
        const from = cursor;
        const page: Page<Item> = await whenAvailable(() =>
          list({ limit: pageSize, ...(from === null ? {} : { cursor: from }) }),
        );
        const end = page.data.findIndex((item) => idOf(item) === lastId);
        const watched = end === -1 ? page.data : page.data.slice(0, end + 1);
        const isOver = end !== -1 || !watched.slice(-knownInRow).some(isNew);
        const fresh = watched.filter(isNew);
        for (const item of fresh) seen.set(idOf(item), stateOf(item));
        news.push(...fresh);
        cursor = isOver ? null : page.next_cursor;
        pages += 1;
      } while (cursor !== null && pages < maxPages);
      if (cursor !== null) console.error('Some items were skipped: there were too many at once.');
      yield* news.toReversed();
    }
  } finally {
    changes.stop();
  }
}

/**
 * Makes a call again for as long as the service is away or overloaded, until Ctrl-C. It prints that once.
 *
 * @throws errors that a later call would get, too, such as that of a revoked key
 */
export async function whenAvailable<T>(call: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures += 1) {
    try {
      const result = await call();
      if (failures > 0) console.error('The service is available again.');
      return result;
    } catch (error) {
      if (!isAway(error)) throw error;
      if (failures === 0) console.error(`${error.message} Trying again until Ctrl-C.`);
      await delay(retryMs);
    }
  }
}

/** No response, an error of the service, or one of a proxy in front of it. */
const isAway = (error: unknown): error is FltrWebhooksError =>
  error instanceof FltrWebhooksError && (error.status === 0 || error.status === 429 || error.status >= 500);

/** `next` resolves when the topic has changed, or after a while: soon where there is no stream. */
function waitForChanges(client: Pick<FltrWebhooks, 'streamChanges'>, topic: Topic) {
  let isStreaming = false;
  let isChanged = false;
  let wake = (): void => undefined;
  const onChanged = (): void => {
    isChanged = true;
    wake();
  };
  const stop = watchChanges(client, {
    onChange: ({ topics }) => void (topics.includes(topic) && onChanged()),
    onReady() {
      isStreaming = true;
      onChanged();
    },
    onLost() {
      isStreaming = false;
      onChanged();
    },
  });
  const next = async (): Promise<void> => {
    await delay(pauseMs);
    if (!isChanged)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, (isStreaming ? slowPollMs : pollMs) - pauseMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    isChanged = false;
  };
  return { next, stop };
}
