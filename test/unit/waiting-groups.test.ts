import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Startable } from '../../src/db/deliveries-table.ts';
import { createWaitingGroups } from '../../src/dispatch/waiting-groups.ts';
import { newId } from '../../src/domain/ids.ts';

const most = 8;
const delivery = (): Startable => ({
  id: newId('dlv'),
  accountId: 'acc_1',
  webhookId: 'wh_1',
  eventId: newId('evt'),
  eventType: 'document.deleted',
  attemptCount: 0,
  retriesUsed: 0,
  nextAttemptAt: null,
  waitReason: null,
  runId: null,
});
const deliveries = (count: number) => Array.from({ length: count }, delivery);
const startOf = (workflowId: string, owned: Startable[]) => ({
  workflowId,
  deliveries: owned,
  assignedAt: 0,
});

test('a delivery that joins a group is started with it, once its insert is committed', () => {
  const waiting = createWaitingGroups(most);
  const [first, second, third] = [delivery(), delivery(), delivery()];
  waiting.add(startOf('grp_1', [first]));
  const joining = waiting.join([second, third]);
  expect(joining).toMatchObject({ workflowId: 'grp_1', deliveries: [second, third] });
  expect(waiting.next()).toBeUndefined();
  // The third one was not inserted.
  joining?.end([second]);
  expect(waiting.next()).toMatchObject({ workflowId: 'grp_1', deliveries: [first, second] });
  expect(waiting.count()).toBe(0);
});

test('nothing joins a delivery’s own workflow, a group that is full, or one that is no longer the last', () => {
  const waiting = createWaitingGroups(most);
  expect(waiting.join(deliveries(1))).toBeNull();
  waiting.add(startOf('grp_1', deliveries(1)));
  const own = delivery();
  waiting.add(startOf(own.id, [own]));
  expect(waiting.join(deliveries(1))).toBeNull();
  waiting.add(startOf('grp_2', deliveries(most)));
  expect(waiting.join(deliveries(1))).toBeNull();
});

test('in any order of joining: no group is too large, none is started twice, no delivery is lost', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ do: fc.constant('commit' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ do: fc.constant('start' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const waiting = createWaitingGroups(most);
      const committed: string[] = [];
      const started: { workflowId: string; ids: string[] }[] = [];
      let open: ReturnType<typeof waiting.join> = null;
      let groups = 0;
      const commit = (share: number) => {
        const kept = open?.deliveries.slice(0, Math.round(share * open.deliveries.length)) ?? [];
        open?.end(kept);
        committed.push(...kept.map(({ id }) => id));
        open = null;
      };
      const start = (): boolean => {
        const next = waiting.next();
        if (next) started.push({ workflowId: next.workflowId, ids: next.deliveries.map(({ id }) => id) });
        return next !== undefined;
      };
      for (const each of steps) {
        if (each.do === 'start') start();
        else if (each.do === 'commit') commit(each.share);
        else if (open === null) {
          const published = deliveries(each.count);
          open = waiting.join(published);
          const others = published.slice(open?.deliveries.length ?? 0);
          for (let at = 0; at < others.length; at += most) {
            const owned = others.slice(at, at + most);
            groups += 1;
            waiting.add(startOf(`grp_${String(groups).padStart(4, '0')}`, owned));
            committed.push(...owned.map(({ id }) => id));
          }
        }
      }
      commit(1);
      while (start());
      expect(started.every(({ ids }) => ids.length > 0 && ids.length <= most)).toBe(true);
      const ids = started.flatMap((each) => each.ids);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.toSorted()).toEqual(committed.toSorted());
      expect(new Set(started.map(({ workflowId }) => workflowId)).size).toBe(started.length);
    }),
    { numRuns: 300 },
  );
});
