import { markHandedOver } from '../src/db/carriers.ts';
import type { Pool } from '../src/db/pool.ts';
import type { MarkHandedOverInput } from '../workflows/contract.ts';

export function createMarkHandedOver({ pool }: { pool: Pool }) {
  return ({ groupId, runs }: MarkHandedOverInput): Promise<void> => markHandedOver(pool, groupId, runs);
}
