import { settleDelivery } from '../src/db/settle-delivery.ts';
import type { Pool } from '../src/db/pool.ts';
import type { SettleInput, SettleResult } from '../workflows/contract.ts';

export function createSettleDelivery({ pool }: { pool: Pool }) {
  return (input: SettleInput): Promise<SettleResult> => settleDelivery(pool, input);
}
