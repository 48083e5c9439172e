import type { z } from 'zod';
import type { AcceptedEvent, batchResultSchema } from '../contracts/event.ts';
import { loadKnownEvents } from '../db/event-log.ts';
import type { Queryable } from '../db/pool.ts';

export type BatchResult = z.input<typeof batchResultSchema>['data'][number];
type Kept = { data: (BatchResult | Brief)[] };
/** An accepted event without its deliveries, which are in the database. */
type Brief = Omit<AcceptedEvent, 'deliveries'> & { status: 202; account_id: string };

/** A response of up to this size is kept whole: 500 events with three or four deliveries each. */
const maxKeptBytes = 256 * 1024;

/**
 * The part of a batch's response that is kept for its Idempotency-Key. A response grows with the number of webhooks, so a long
 * one is kept without its deliveries: a repeated call reads them again, in their states by then.
 *
 * @param accountIds of the events, in order
 */
export function toKept(
  { data }: { data: BatchResult[] },
  accountIds: readonly (string | null)[],
  maxBytes = maxKeptBytes,
): Kept {
  if (Buffer.byteLength(JSON.stringify(data)) <= maxBytes) return { data };
  return {
    data: data.map((result, index) => {
      if ('error' in result) return result;
      const { id, duplicate } = result;
      return { status: 202, id, duplicate, account_id: accountIds[index] ?? '' };
    }),
  };
}

/** The response, from the kept part. */
export async function fromKept(db: Queryable, kept: unknown): Promise<{ data: BatchResult[] }> {
  const { data } = kept as Kept;
  const briefs = data.filter((result): result is Brief => 'account_id' in result);
  if (briefs.length === 0) return { data: data as BatchResult[] };
  const known = await loadKnownEvents(
    db,
    briefs.map(({ id, account_id: accountId }) => ({ id, accountId })),
  );
  return {
    data: data.map((result) => {
      if (!('account_id' in result)) return result;
      const { account_id: accountId, ...accepted } = result;
      return { ...accepted, deliveries: known.get(`${accountId} ${accepted.id}`)?.deliveries ?? [] };
    }),
  };
}
