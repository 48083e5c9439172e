import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import type { Page } from '../client/pages.ts';
import { watchChanges } from '../client/watch-changes.ts';
import type { Topic } from '../contracts/change.ts';

const pollMs = 1000;
/** While a stream says what has changed: in case that it was not said. */
const slowPollMs = 15_000;
/** Between two reads. */
const pauseMs = 250;
/** Pages read per poll. If there are more, the oldest items are skipped and a line says so. */
const maxPages = 10;
const maxRemembered = 20_000;

type Options<Item> = {
  client: Pick<FltrWebhooks, 'streamChanges'>;
  /** What says that the list has changed. */
  topic: Topic;
  list: (page: { limit: number; cursor?: string }) => Promise<Page<Item>>;
  idOf: (item: Item) => string;
  /** An item is returned again when this changes. */
  stateOf: (item: Item) => string;
  /** The number of existing items to start with. */
  last: number;
};

/** Reads a list, newest first, whenever it changes, and yields new and changed items, oldest first. Earlier items are not watched. */
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
    const first = await list({ limit: 100 });
    for (const item of first.data) seen.set(idOf(item), stateOf(item));
    yield* first.data.slice(0, last).toReversed();
    // Older items existed before the start.
    const lastId = first.next_cursor === null ? null : idOf(first.data.at(-1) as Item);
    for (;;) {
      await changes.next();
      const news: Item[] = [];
      let cursor: string | null = null;
      let pages = 0;
      do {
        const page: Page<Item> = await list({ limit: 100, ...(cursor === null ? {} : { cursor }) });
        const end = page.data.findIndex((item) => idOf(item) === lastId);
        const watched = end === -1 ? page.data : page.data.slice(0, end + 1);
        const fresh = watched.filter((item) => seen.get(idOf(item)) !== stateOf(item));
        for (const item of fresh) seen.set(idOf(item), stateOf(item));
        news.push(...fresh);
        cursor = end === -1 && fresh.length === page.data.length ? page.next_cursor : null;
        pages += 1;
      } while (cursor !== null && pages < maxPages);
      if (cursor !== null) console.error('Some items were skipped: there were too many at once.');
      yield* news.toReversed();
    }
  } finally {
    changes.stop();
  }
}

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
