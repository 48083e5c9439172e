import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Page } from '../client/fltr-webhooks.ts';

const pollMs = 1000;
/** Pages that one look reads at most; of more than that, the oldest are left out, and a line says so. */
const maxPages = 10;
const remembered = 20_000;

type Options<Item> = {
  list: (page: { limit: number; cursor?: string }) => Promise<Page<Item>>;
  idOf: (item: Item) => string;
  /** What must have changed for an item to be given again. */
  stateOf: (item: Item) => string;
  /** How many of those that are there already are given first. */
  last: number;
};

/** A list, newest first, as it grows: new and changed items, oldest first, for ever. What was there before is not watched. */
export async function* follow<Item>({
  list,
  idOf,
  stateOf,
  last,
}: Options<Item>): AsyncGenerator<Item, never> {
  const seen = new LRUCache<string, string>({ max: remembered });
  const first = await list({ limit: 100 });
  for (const item of first.data) seen.set(idOf(item), stateOf(item));
  yield* first.data.slice(0, last).toReversed();
  // Beyond the last of them is only what was there before.
  const lastId = first.next_cursor === null ? null : idOf(first.data.at(-1) as Item);
  for (;;) {
    await delay(pollMs);
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
    if (cursor !== null) console.error('More came than is shown here.');
    yield* news.toReversed();
  }
}
