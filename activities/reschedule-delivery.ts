import { rescheduleDelivery } from '../src/db/attempts.ts';
import type { Pool } from '../src/db/pool.ts';
import { rescheduledEntry } from '../src/domain/timeline.ts';
import type { RescheduleInput } from '../workflows/contract.ts';

export function createRescheduleDelivery({ pool }: { pool: Pool }) {
  return ({ deliveryId, at, until, notes }: RescheduleInput): Promise<void> =>
    rescheduleDelivery(pool, {
      deliveryId,
      until: new Date(until),
      entries: [...notes, rescheduledEntry({ at, until })],
    });
}
