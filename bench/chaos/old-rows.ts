import { setTimeout as delay } from 'node:timers/promises';
import { idFloor, newId } from '../../src/domain/ids.ts';
import { createTemporal } from '../../src/temporal/client.ts';
import { shifted } from './model.ts';
import {
  readAttempts,
  readDeliveries,
  readEndedIds,
  renameDeliveries,
  type AttemptRow,
  type DeliveryRow,
} from './rows.ts';
import { passHours } from './pass-hours.ts';
import type { World } from './world.ts';

/** A delivery that was old enough to be removed, and its attempts, as they were read at that moment. */
export type OldRow = { at: number; newId: string; delivery: DeliveryRow; attempts: AttemptRow[] };

const days = 2;
const scheduleId = 'remove-old-rows';
const prefixLength = 'dlv_'.length + 10;

/**
 * Two days pass, and the retention of one day removes ended deliveries. Ids hold the time at which they were made, so those
 * of ended deliveries are made again.
 */
export async function removeOldRows(world: World): Promise<void> {
  const { pool, servers, namespace, oldRows } = world;
  if (!(await passHours(world, days * 24))) return;
  // Rows that an earlier step made old, and that nothing has removed since, are old enough.
  const isOld = new Set(oldRows.map((old) => old.newId));
  const endedIds = await readEndedIds(pool);
  const ended = (await readDeliveries(pool)).filter(({ id }) => endedIds.has(id) && !isOld.has(id));
  const attempts = await readAttempts(pool);
  const made = idFloor('dlv', new Date(Date.now() - days * 86_400_000)).slice(0, prefixLength);
  const renamed = new Map(ended.map(({ id }) => [id, made + newId('dlv').slice(prefixLength)]));
  const at = Date.now();
  for (const delivery of ended) {
    const own = attempts.filter(({ deliveryId }) => deliveryId === delivery.id);
    oldRows.push({ at, newId: renamed.get(delivery.id) ?? '', delivery, attempts: own });
  }
  await renameDeliveries(pool, renamed);
  const temporal = createTemporal({ address: servers.temporalAddress, tls: false }, namespace);
  try {
    await temporal.connection.withDeadline(Date.now() + 3000, () =>
      temporal.client.schedule.getHandle(scheduleId).trigger(),
    );
    await delay(1500);
  } catch {
    // The schedule does not exist yet, or Temporal is down: the rows stay, which no check minds.
  } finally {
    await temporal.connection.close();
  }
}

/** The rows that exist and those that were removed, both with the times that they would have now. */
export async function readAllRows({
  pool,
  oldRows,
  model,
}: Pick<World, 'pool' | 'oldRows' | 'model'>): Promise<{
  deliveries: DeliveryRow[];
  attempts: AttemptRow[];
}> {
  const [deliveries, attempts] = [await readDeliveries(pool), await readAttempts(pool)];
  const gone = new Set(oldRows.map((old) => old.newId));
  return {
    deliveries: [...deliveries.filter(({ id }) => !gone.has(id)), ...oldRows.map(({ delivery }) => delivery)],
    attempts: [
      ...attempts.filter(({ deliveryId }) => !gone.has(deliveryId)),
      ...oldRows.flatMap((old) =>
        old.attempts.map((attempt) => ({
          ...attempt,
          startedAt: attempt.startedAt + shifted(old.at, model.shifts) - old.at,
        })),
      ),
    ],
  };
}
