export type Page<Item> = { data: Item[]; next_cursor: string | null };
export type PageQuery = { limit?: number; cursor?: string };

/**
 * Iterates over all items of a list, page by page.
 *
 * @example for await (const delivery of everyItem((page) => client.listDeliveries({ status: 'failed', ...page }))) …
 */
export async function* everyItem<Item>(
  list: (page: { cursor?: string }) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  let page = await list({});
  for (;;) {
    yield* page.data;
    if (page.next_cursor === null) return;
    page = await list({ cursor: page.next_cursor });
  }
}
