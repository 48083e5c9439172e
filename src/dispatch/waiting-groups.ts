import type { Startable } from '../db/deliveries-table.ts';
import { groupSize } from '../domain/group.ts';
import { isGroupId } from '../domain/ids.ts';

/** A workflow whose deliveries name it as their owner, since `assignedAt` (ms since 1970), and which is to be started. */
export type Start = { workflowId: string; deliveries: Startable[]; assignedAt: number };

/** Deliveries that an insert adds to a group. Call `end` after the insert, with the deliveries that were committed. */
type Joining = { workflowId: string; deliveries: readonly Startable[]; end(committed: Startable[]): void };

/**
 * The starts that wait for capacity, the oldest first. If the last one is a group, deliveries can be added to it until it is
 * full. A group is not started while an insert is adding deliveries to it.
 *
 * @param most deliveries that a group may have
 */
export function createWaitingGroups(most: number) {
  const waiting: (Start & { joining: number })[] = [];
  return {
    count: () => waiting.length,
    add: (start: Start): void => void waiting.push({ ...start, joining: 0 }),
    /** Removes the oldest one that can be started. */
    next(): Start | undefined {
      const index = waiting.findIndex(({ joining }) => joining === 0);
      return index < 0 ? undefined : waiting.splice(index, 1)[0];
    },
    /** Adds the first deliveries of `more` to the last group, as many as fit; null: none. */
    join(more: readonly Startable[]): Joining | null {
      const last = waiting.at(-1);
      // Only one insert at a time adds to a group.
      if (!last || !isGroupId(last.workflowId) || last.joining > 0) return null;
      const room = groupSize([...last.deliveries, ...more], most) - last.deliveries.length;
      if (room <= 0) return null;
      const deliveries = more.slice(0, room);
      last.joining = deliveries.length;
      return {
        workflowId: last.workflowId,
        deliveries,
        end(committed) {
          last.joining = 0;
          last.deliveries = [...last.deliveries, ...committed];
        },
      };
    },
    /** Removes all. The reconciler starts these workflows later. */
    clear: (): void => void waiting.splice(0),
  };
}
