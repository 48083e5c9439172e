import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { capacityFaults, planCapacity } from '../../src/domain/capacity.ts';
import { capacityCosts as costs } from '../../src/domain/capacity-costs.ts';
import type { CapacityInput } from '../../src/domain/capacity-load.ts';
import { packageRoot } from '../../src/package-root.ts';
import { runInProcess } from '../kit/command.ts';

const input: CapacityInput = {
  eventsPerSecond: 5,
  fanout: 2,
  failingPercent: 0,
  retentionDays: 90,
  eventBytes: 500,
  processes: null,
};

test('a quiet service: a workflow for each delivery, at what one alone costs', () => {
  const plan = planCapacity(input);
  expect(plan).toMatchObject({
    deliveriesPerSecond: 10,
    attemptsPerSecond: 10,
    deliveriesPerWorkflow: 1,
    workflowStartsPerSecond: 10,
    waitingWorkflows: 0,
    processesNeeded: 1,
    historyShards: costs.composeShards,
    actionsPerSecond: 10 * costs.actionsPerWorkflow,
  });
  expect(plan.cores.node).toBeCloseTo((10 * costs.cpuMsAlone.node) / 1000, 9);
  const daily = 5 * (500 + costs.bytesPerEvent) + 10 * costs.bytesPerDelivery;
  expect(plan.gibPerDay.ours).toBeCloseTo((daily * 86_400) / 2 ** 30, 9);
  // Bodies go before their rows do.
  const bodies = 5 * 500 * (90 - costs.payloadRetentionDays);
  expect(plan.gibKept.ours).toBeCloseTo(((daily * 90 - bodies) * 86_400) / 2 ** 30, 6);
});

test('a burst: groups of the measured size, at what a delivery of a burst costs', () => {
  const eventsPerSecond = costs.startsPerProcess * costs.burstGroup * 2;
  const plan = planCapacity({ ...input, eventsPerSecond, fanout: 1, processes: 2 });
  expect(plan.deliveriesPerWorkflow).toBeCloseTo(costs.burstGroup, 9);
  expect(plan.workflowStartsPerSecond).toBeCloseTo(costs.startsPerProcess * 2, 9);
  expect(plan.cores.node).toBeCloseTo((eventsPerSecond * costs.cpuMsInBurst.node) / 1000, 6);
});

test('between the two, groups are as large as the starts that one process makes leave them', () => {
  const plan = planCapacity({
    ...input,
    eventsPerSecond: costs.startsPerProcess * 5,
    fanout: 1,
    processes: 1,
  });
  expect(plan.deliveriesPerWorkflow).toBeCloseTo(5, 9);
  const more = planCapacity({
    ...input,
    eventsPerSecond: costs.startsPerProcess * 5,
    fanout: 1,
    processes: 2,
  });
  expect(more.deliveriesPerWorkflow).toBeCloseTo(2.5, 9);
  expect(more.cores.node).toBeGreaterThan(plan.cores.node);
});

test('what fails: every retry is a request, and each waits in a workflow of its own', () => {
  const one = costs.startsPerProcess * 10;
  const plan = planCapacity({ ...input, eventsPerSecond: one, fanout: 1, failingPercent: 20, processes: 1 });
  const failing = one * 0.2;
  expect(plan.attemptsPerSecond).toBeCloseTo(one + failing * 3, 6);
  expect(plan.waitingWorkflows).toBeCloseTo(failing * (60 + 300 + 1800), 6);
  // Nine of ten in a group of ten are handed over; the tenth has the workflow.
  expect(plan.workflowStartsPerSecond).toBeCloseTo(costs.startsPerProcess + failing * 0.9, 6);
  const all = planCapacity({ ...input, failingPercent: 100 });
  expect(all.attemptsPerSecond).toBeCloseTo(40, 9);
  expect(all.workflowStartsPerSecond).toBeCloseTo(10, 9);
});

test('a fan-out of 1,000', () => {
  const plan = planCapacity({ ...input, eventsPerSecond: 2, fanout: 1000 });
  expect(plan.deliveriesPerSecond).toBe(2000);
  expect(plan.webhooksNeeded).toBe((2000 * 3600) / 1000);
  // One event's body for a thousand deliveries.
  const other = planCapacity({ ...input, eventsPerSecond: 2, fanout: 1000, eventBytes: 1500 });
  expect(other.gibPerDay.ours - plan.gibPerDay.ours).toBeCloseTo((2 * 1000 * 86_400) / 2 ** 30, 9);
});

test('what gives way first comes first, and gives way where it is said to', () => {
  const { limits } = planCapacity({ ...input, eventsPerSecond: 100 });
  const rates = limits.map(({ givesWayAt }) => givesWayAt ?? Number.POSITIVE_INFINITY);
  expect(rates).toEqual([...rates].sort((a, b) => a - b));
  for (const { what, givesWayAt, used } of limits) {
    expect(givesWayAt).not.toBeNull();
    expect(used >= 1).toBe((givesWayAt ?? 0) <= 100);
    const there = planCapacity({ ...input, eventsPerSecond: givesWayAt ?? 0 });
    expect(there.limits.find((limit) => limit.what === what)?.used).toBeGreaterThanOrEqual(1);
    const before = planCapacity({ ...input, eventsPerSecond: (givesWayAt ?? 0) * 0.8 });
    expect(before.limits.find((limit) => limit.what === what)?.used).toBeLessThan(1);
  }
});

test('for any load: finite figures, groups within their size, and processes that are enough', () => {
  const loads = fc.record({
    eventsPerSecond: fc.double({ min: 0.001, max: 1_000_000, noNaN: true }),
    fanout: fc.double({ min: 0.01, max: 10_000, noNaN: true }),
    failingPercent: fc.double({ min: 0, max: 100, noNaN: true }),
    retentionDays: fc.integer({ min: 1, max: 3650 }),
    eventBytes: fc.integer({ min: 1, max: 262_144 }),
    processes: fc.constant(null),
  });
  fc.assert(
    fc.property(loads, (load) => {
      expect(capacityFaults(load)).toEqual([]);
      const plan = planCapacity(load);
      const { limits, cores, gibPerDay, gibKept, transactionsPerSecond, ...figures } = plan;
      const all = [figures, cores, gibPerDay, gibKept, transactionsPerSecond].flatMap(Object.values<number>);
      expect(all.filter((figure) => !Number.isFinite(figure) || figure < 0)).toEqual([]);
      expect(limits.filter(({ used }) => !Number.isFinite(used))).toEqual([]);
      expect(plan.deliveriesPerWorkflow).toBeGreaterThanOrEqual(1 - 1e-9);
      expect(plan.deliveriesPerWorkflow).toBeLessThanOrEqual(costs.burstGroup + 1e-9);
      const again = planCapacity({ ...load, processes: plan.processesNeeded });
      expect(again.processesNeeded).toBeLessThanOrEqual(plan.processesNeeded);
    }),
    { numRuns: 50 },
  );
});

test.each([
  [{ eventsPerSecond: 0 }, /--events-per-second must be above 0 .* several cells/],
  [{ eventsPerSecond: -1 }, /--events-per-second/],
  [{ eventsPerSecond: Number.NaN }, /--events-per-second/],
  [{ eventsPerSecond: Number.POSITIVE_INFINITY }, /--events-per-second/],
  [{ eventsPerSecond: 1_000_001 }, /ask for one cell/],
  [{ fanout: 0 }, /--fanout must be above 0 .* leave such events out/],
  [{ fanout: 10_001 }, /--fanout/],
  [{ failingPercent: 101 }, /--failing must be from 0 to 100/],
  [{ failingPercent: -0.1 }, /--failing/],
  [{ retentionDays: 0 }, /--retention-days .* give the days that you look ahead/],
  [{ eventBytes: 262_145 }, /--event-bytes .* all that the API takes/],
  [{ processes: 1.5 }, /--processes must be a whole number .* leave it out/],
  [{ processes: 0 }, /--processes/],
])('%j is refused, and what to do is said', (part, fault) => {
  expect(capacityFaults({ ...input, ...part })).toEqual([expect.stringMatching(fault)]);
});

const run = (...args: string[]) => runInProcess(['capacity', ...args], {});

test('the command prints a table, what gives way, and the same as JSON', async () => {
  const asked = ['--events-per-second', '5', '--fanout', '2', '--failing', '0'];
  const { code, output } = await run(...asked);
  expect(code).toBe(0);
  expect(output).toMatch(/^5 events\/s of 500 bytes, 2 webhooks each, 0 % of the deliveries failing:\n/);
  expect(output).toMatch(/^workflow starts +10 \/s +first attempts: 1 a workflow$/m);
  const first = planCapacity(input).limits[0];
  expect(output).toContain(`1. ${first?.what}: at `);
  expect(output).toContain(`   ${first?.remedy}\n`);
  const json = await run(...asked, '--json');
  expect(json.code).toBe(0);
  expect(JSON.parse(json.output)).toEqual({ input, plan: planCapacity(input) });
});

test('the command says when processes are too few', async () => {
  const { code, output } = await run('--events-per-second', '20000', '--processes', '2');
  expect(code).toBe(0);
  expect(output).toMatch(/^processes of the service +\d+ +2 are too few$/m);
});

test('the command refuses what it cannot reckon with: every fault at once, exit code 2', async () => {
  const { code, output } = await run('--events-per-second', 'many', '--fanout', '', '--failing', '120');
  expect(code).toBe(2);
  expect(
    output
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]),
  ).toEqual(['--events-per-second', '--fanout', '--failing']);
  expect(await run()).toMatchObject({ code: 2, output: expect.stringMatching(/--events-per-second/) });
});

test('docs/scaling.md shows what the command says', async () => {
  const doc = readFileSync(join(packageRoot, 'docs/scaling.md'), 'utf8');
  const [, args = '', output] = /```\n\$ fltr-webhooks capacity (.+)\n([^]*?)```/.exec(doc) ?? [];
  expect((await run(...args.split(' '))).output).toBe(output);
});
