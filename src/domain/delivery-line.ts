import type { DeliveryStatus } from '../contracts/delivery.ts';
import type { OnFailure, Ordering } from '../contracts/webhook-policy.ts';

/**
 * A webhook with `ordering` gets the events of one order key one after the other. These deliveries are a line, in order of
 * acceptance:
 *
 *   waiting   it has no owner: `start_after` is `line`
 *   head      one delivery of the line; it is like any delivery without a line
 *
 * When the head has ended, and its workflow with it, the first waiting one becomes the head. One that ended and is sent again
 * waits with its old position. With `on_failure: block`, a head that failed stays the head until it is sent again, canceled or
 * removed. A line without open deliveries is deleted, unless it is blocked.
 */
export type LineFacts = {
  /** Null: the line has had none, or its row was removed. */
  head: {
    status: DeliveryStatus;
    /** It was sent again and waits. */
    isWaiting: boolean;
    /** It has ended, and its workflow must still be stopped. */
    isStopping: boolean;
  } | null;
  onFailure: OnFailure;
  /** The first of those that wait; null: none does. */
  firstId: string | null;
};

export type LineStep = { is: 'keep' } | { is: 'block' } | { is: 'advance'; headId: string } | { is: 'end' };

/**
 * Decides the next step of a line.
 *
 * @example decideLine({ head: null, onFailure: 'skip', firstId: 'dlv_1' }) // { is: 'advance', headId: 'dlv_1' }
 */
export function decideLine({ head, onFailure, firstId }: LineFacts): LineStep {
  if (head && !head.isWaiting) {
    const isOpen = head.status === 'pending' || head.status === 'retrying' || head.status === 'held';
    if (isOpen || head.isStopping) return { is: 'keep' };
    if (head.status === 'failed' && onFailure === 'block') return { is: 'block' };
  }
  return firstId === null ? { is: 'end' } : { is: 'advance', headId: firstId };
}

/**
 * The line that a delivery joins; null: none. All deliveries of a webhook with `all` are one line, which has the empty key.
 *
 * @example lineKey('by_key', 'order-17') // 'order-17'
 */
export function lineKey(ordering: Ordering | null, orderKey: string | undefined): string | null {
  if (ordering === null) return null;
  return ordering === 'all' ? '' : (orderKey ?? null);
}

/**
 * How many of the same line come later.
 *
 * @param lines the line of each, in order of acceptance
 * @example behindEach(['a', 'b', 'a']) // [1, 0, 0]
 */
export function behindEach(lines: readonly string[]): number[] {
  const counts = new Map<string, number>();
  return lines
    .toReversed()
    .map((line) => {
      const count = counts.get(line) ?? 0;
      counts.set(line, count + 1);
      return count;
    })
    .toReversed();
}
