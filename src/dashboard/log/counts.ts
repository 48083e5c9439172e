import type { DeliveryStatus } from '../../contracts/delivery.ts';
import type { DeliveryCounts } from '../../contracts/delivery-counts.ts';
import { countText } from '../format.ts';

/**
 * How many deliveries have the status; without one, how many there are.
 *
 * @example countOf({ counts: { failed: 10_000, … }, limit: 10_000 }, 'failed') // '10,000+'
 */
export function countOf({ counts, limit }: DeliveryCounts, status: DeliveryStatus | undefined): string {
  if (status !== undefined) return countText(counts[status], counts[status] >= limit);
  const all = Object.values(counts);
  return countText(
    all.reduce((sum, count) => sum + count, 0),
    all.some((count) => count >= limit),
  );
}
