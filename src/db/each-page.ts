/** Rows of a page of an export: the most that it has in memory. */
const pageSize = 200;

/**
 * The pages of a list, from a position to its end. The list is newest first, so rows that are added meanwhile are not in it, and
 * each row is in it once.
 */
export async function* eachPage<Row, Position>(
  first: Position | null,
  list: (page: {
    before: Position | null;
    limit: number;
  }) => Promise<{ rows: readonly Row[]; next: Position | null }>,
): AsyncGenerator<readonly Row[], void, undefined> {
  for (let before = first; ;) {
    const { rows, next } = await list({ before, limit: pageSize });
    yield rows;
    if (next === null) return;
    before = next;
  }
}
