import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deliveryStatuses, type DeliveryStatus } from '../../src/contracts/delivery.ts';
import { behindEach, decideLine, lineKey } from '../../src/domain/delivery-line.ts';

test('the line of a delivery: by its key, one for all, or none', () => {
  expect(lineKey(null, 'a')).toBeNull();
  expect(lineKey('by_key', 'a')).toBe('a');
  expect(lineKey('by_key', undefined)).toBeNull();
  expect(lineKey('all', 'a')).toBe('');
  expect(lineKey('all', undefined)).toBe('');
});

test('each counts those of its line behind it', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c')), (lines) => {
      expect(behindEach(lines)).toEqual(
        lines.map((line, at) => lines.slice(at + 1).filter((other) => other === line).length),
      );
    }),
  );
});

const isOpen = (status: DeliveryStatus) => status === 'pending' || status === 'retrying' || status === 'held';

test('a head keeps its line while it is open or its workflow must be stopped; a failed one only where it blocks', () => {
  for (const status of deliveryStatuses)
    for (const isStopping of isOpen(status) ? [false] : [true, false])
      for (const onFailure of ['skip', 'block'] as const) {
        const step = decideLine({
          head: { status, isWaiting: false, isStopping },
          onFailure,
          firstId: 'dlv_2',
        });
        if (isOpen(status) || isStopping) expect(step).toEqual({ is: 'keep' });
        else if (status === 'failed' && onFailure === 'block') expect(step).toEqual({ is: 'block' });
        else expect(step).toEqual({ is: 'advance', headId: 'dlv_2' });
      }
});

/** A line as its rows have it. */
type Delivery = { status: DeliveryStatus; isWaiting: boolean; isStopping: boolean; begun: number };
type Line = { deliveries: Delivery[]; head: number | null; onFailure: 'skip' | 'block' };

const operation = fc.record({
  kind: fc.constantFrom(
    'join',
    'join',
    'join',
    'deliver',
    'fail',
    'retry later',
    'send again',
    'cancel',
    'cancel while it runs',
    'stopped',
    'hold',
    'release',
    'expire',
    'skip',
    'block',
  ),
  at: fc.nat(20),
});

function change(line: Line, { kind, at }: { kind: string; at: number }): void {
  const { deliveries } = line;
  if (kind === 'join') {
    deliveries.push({ status: 'pending', isWaiting: true, isStopping: false, begun: 0 });
    return;
  }
  if (kind === 'skip' || kind === 'block') {
    line.onFailure = kind;
    return;
  }
  const head = line.head === null ? undefined : deliveries[line.head];
  const running = head && !head.isWaiting && isOpen(head.status) ? head : undefined;
  const one = deliveries[at % Math.max(1, deliveries.length)];
  if (!one) return;
  if (kind === 'deliver' && running) running.status = 'delivered';
  if (kind === 'fail' && running) running.status = 'failed';
  if (kind === 'retry later' && running) running.status = 'retrying';
  if (kind === 'send again' && (one.status === 'failed' || one.status === 'delivered')) {
    one.status = 'pending';
    one.isWaiting = true;
  }
  if (kind === 'cancel' && (isOpen(one.status) || (one.status === 'failed' && one === head)))
    one.status = 'canceled';
  if (kind === 'cancel while it runs' && running) {
    running.status = 'canceled';
    running.isStopping = true;
  }
  if (kind === 'stopped') for (const each of deliveries) each.isStopping = false;
  if (kind === 'hold') for (const each of deliveries) if (isOpen(each.status)) each.status = 'held';
  if (kind === 'release') for (const each of deliveries) if (each.status === 'held') each.status = 'pending';
  if (kind === 'expire' && one.status === 'held') one.status = 'failed';
}

function advance(line: Line): void {
  const { deliveries, onFailure } = line;
  const first = deliveries.findIndex(({ status, isWaiting }) => isOpen(status) && isWaiting);
  const step = decideLine({
    head: line.head === null ? null : (deliveries[line.head] ?? null),
    onFailure,
    firstId: first === -1 ? null : String(first),
  });
  if (step.is === 'end') line.head = null;
  if (step.is !== 'advance') return;
  const next = deliveries[Number(step.headId)];
  if (!next) throw new Error('There is no such delivery');
  line.head = Number(step.headId);
  next.isWaiting = false;
  next.begun += 1;
}

test('in any sequence of events, a line delivers one at a time, in order of acceptance, and is never stuck', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const line: Line = { deliveries: [], head: null, onFailure: 'skip' };
      for (const next of operations) {
        change(line, next);
        const before = line.deliveries.map(({ begun }) => begun);
        advance(line);
        const { deliveries, head } = line;
        const atOnce = deliveries.filter(
          ({ status, isWaiting, isStopping }) => !isWaiting && (isOpen(status) || isStopping),
        );
        expect(atOnce.length).toBeLessThanOrEqual(1);
        const begun = deliveries.findIndex((each, at) => each.begun > (before[at] ?? 0));
        // None that was accepted before it and has not ended is passed over.
        if (begun !== -1)
          expect(deliveries.slice(0, begun).filter(({ status }) => isOpen(status))).toEqual([]);
        const isBlocked =
          line.onFailure === 'block' && head !== null && deliveries[head]?.status === 'failed';
        const hasOpen = deliveries.some(({ status }) => isOpen(status));
        if (hasOpen && !isBlocked) expect(atOnce).toHaveLength(1);
        if (isBlocked) expect(begun).toBe(-1);
      }
    }),
    { numRuns: 500 },
  );
});
