import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { capacityFaults, estimateCapacity } from '../../src/cli/capacity-estimate.ts';
import { capacityCosts, type CapacityCosts } from '../../src/cli/capacity-costs.ts';
import type { CapacityInput } from '../../src/cli/capacity-load.ts';
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

/** Round ones, so that the figures below can be worked out by hand. */
const costs: CapacityCosts = {
  ...capacityCosts,
  cpuMsAlone: { node: 4, temporal: 6, postgresql: 5 },
  cpuMsInBurst: { node: 0.5, temporal: 0.4, postgresql: 0.5 },
  burstGroup: 50,
  startsPerProcess: 100,
  bytesPerEvent: 500,
  bytesPerDelivery: 3000,
  waitsSeconds: [60, 300, 1800],
  attemptsPerWebhookAndHour: 1000,
  payloadRetentionDays: 30,
  composeShards: 4,
  actionsPerWorkflow: 2,
};
const estimate = (more: Partial<CapacityInput>) => estimateCapacity({ ...input, ...more }, costs);

test('a quiet service starts a workflow for each delivery, at the cost of a single one', () => {
  const { cores, gibPerDay, gibKept, ...figures } = estimate({});
  expect(figures).toMatchObject({
    deliveriesPerSecond: 10,
    attemptsPerSecond: 10,
    deliveriesPerWorkflow: 1,
    workflowStartsPerSecond: 10,
    waitingWorkflows: 0,
    processesNeeded: 1,
    historyShards: 4,
    actionsPerSecond: 20,
  });
  expect(cores.node).toBeCloseTo(0.04, 9);
  // 35,000 bytes a second: five events of 1,000, ten deliveries of 3,000.
  expect(gibPerDay.ours).toBeCloseTo(2.8163, 4);
  // 90 days of that, without the bodies of the first 60: they go before their rows do.
  expect(gibKept.ours).toBeCloseTo(241.399, 3);
});

test('a burst starts groups of the measured size, at the cost of a delivery in a burst', () => {
  const { cores, ...figures } = estimate({ eventsPerSecond: 10_000, fanout: 1, processes: 2 });
  expect(figures.deliveriesPerWorkflow).toBeCloseTo(50, 9);
  expect(figures.workflowStartsPerSecond).toBeCloseTo(200, 9);
  expect(cores.node).toBeCloseTo(5, 6);
});

test('between the two, groups are as large as the starts that one process makes leave them', () => {
  const one = estimate({ eventsPerSecond: 500, fanout: 1, processes: 1 });
  expect(one.deliveriesPerWorkflow).toBeCloseTo(5, 9);
  const two = estimate({ eventsPerSecond: 500, fanout: 1, processes: 2 });
  expect(two.deliveriesPerWorkflow).toBeCloseTo(2.5, 9);
  expect(two.cores.node).toBeGreaterThan(one.cores.node);
});

test('every retry of a failing delivery is a request, and waits in a workflow of its own', () => {
  const some = estimate({ eventsPerSecond: 1000, fanout: 1, failingPercent: 20, processes: 1 });
  expect(some.attemptsPerSecond).toBeCloseTo(1600, 6);
  // 200 a second, for 36 minutes.
  expect(some.waitingWorkflows).toBeCloseTo(432_000, 6);
  // 100 groups of ten, and for nine of ten that fail in one a workflow more; the tenth has the group's.
  expect(some.workflowStartsPerSecond).toBeCloseTo(280, 6);
  const all = estimate({ failingPercent: 100 });
  expect(all.attemptsPerSecond).toBeCloseTo(40, 9);
  expect(all.workflowStartsPerSecond).toBeCloseTo(10, 9);
});

test('a fan-out of 1,000 is counted in deliveries, not in events', () => {
  const small = estimate({ eventsPerSecond: 2, fanout: 1000 });
  expect(small.deliveriesPerSecond).toBe(2000);
  expect(small.webhooksNeeded).toBe(7200);
  // One event's body for a thousand deliveries: 2,000 bytes a second more.
  const large = estimate({ eventsPerSecond: 2, fanout: 1000, eventBytes: 1500 });
  expect(large.gibPerDay.ours - small.gibPerDay.ours).toBeCloseTo(0.16093, 5);
});

test('the tightest limit comes first, and is reached at the rate that is shown', () => {
  const { limits } = estimateCapacity({ ...input, eventsPerSecond: 100 });
  const rates = limits.map(({ reachedAt }) => reachedAt ?? Number.POSITIVE_INFINITY);
  expect(rates).toEqual([...rates].sort((a, b) => a - b));
  for (const { name, reachedAt, used } of limits) {
    expect(reachedAt).not.toBeNull();
    expect(used >= 1).toBe((reachedAt ?? 0) <= 100);
    const there = estimateCapacity({ ...input, eventsPerSecond: reachedAt ?? 0 });
    expect(there.limits.find((limit) => limit.name === name)?.used).toBeGreaterThanOrEqual(1);
    const before = estimateCapacity({ ...input, eventsPerSecond: (reachedAt ?? 0) * 0.8 });
    expect(before.limits.find((limit) => limit.name === name)?.used).toBeLessThan(1);
  }
});

test('any load has finite figures, groups within their size, and enough processes', () => {
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
      const found = estimateCapacity(load);
      const { limits, cores, gibPerDay, gibKept, transactionsPerSecond, ...figures } = found;
      const all = [figures, cores, gibPerDay, gibKept, transactionsPerSecond].flatMap(Object.values<number>);
      expect(all.filter((figure) => !Number.isFinite(figure) || figure < 0)).toEqual([]);
      expect(limits.filter(({ used }) => !Number.isFinite(used))).toEqual([]);
      expect(found.deliveriesPerWorkflow).toBeGreaterThanOrEqual(1 - 1e-9);
      expect(found.deliveriesPerWorkflow).toBeLessThanOrEqual(capacityCosts.burstGroup + 1e-9);
      const again = estimateCapacity({ ...load, processes: found.processesNeeded });
      expect(again.processesNeeded).toBeLessThanOrEqual(found.processesNeeded);
    }),
    { numRuns: 50 },
  );
});

test.each([
  [{ eventsPerSecond: 0 }, /--events-per-second must be above 0 .* several cells/],
  [{ eventsPerSecond: -1 }, /--events-per-second/],
  [{ eventsPerSecond: Number.NaN }, /--events-per-second/],
  [{ eventsPerSecond: Number.POSITIVE_INFINITY }, /--events-per-second/],
  [{ eventsPerSecond: 1_000_001 }, /estimate one cell/],
  [{ fanout: 0 }, /--fanout must be above 0 .* leave such events out/],
  [{ fanout: 10_001 }, /--fanout/],
  [{ failingPercent: 101 }, /--failing must be from 0 to 100/],
  [{ failingPercent: -0.1 }, /--failing/],
  [{ retentionDays: 0 }, /--retention-days .* number of days to plan for/],
  [{ eventBytes: 262_145 }, /--event-bytes .* the largest event that the API accepts/],
  [{ processes: 1.5 }, /--processes must be a whole number .* leave it out/],
  [{ processes: 0 }, /--processes/],
])('%j is refused, with the remedy', (part, fault) => {
  expect(capacityFaults({ ...input, ...part })).toEqual([expect.stringMatching(fault)]);
});

const run = (...args: string[]) => runInProcess(['capacity', ...args], {});

test('the capacity command prints a table and the limits, and the same as JSON', async () => {
  const args = ['--events-per-second', '5', '--fanout', '2', '--failing', '0'];
  const { code, output } = await run(...args);
  expect(code).toBe(0);
  expect(output).toMatch(/^5 events\/s of 500 bytes, 2 webhooks each, 0 % of the deliveries failing:\n/);
  expect(output).toMatch(/^workflow starts +10 \/s +first attempts per workflow: 1$/m);
  const first = estimateCapacity(input).limits[0];
  expect(output).toContain(`1. ${first?.name}: at `);
  expect(output).toContain(`   ${first?.remedy}\n`);
  const json = await run(...args, '--json');
  expect(json.code).toBe(0);
  expect(JSON.parse(json.output)).toEqual({ input, estimate: estimateCapacity(input) });
});

test('the capacity command reports when processes are too few', async () => {
  const { code, output } = await run('--events-per-second', '20000', '--processes', '2');
  expect(code).toBe(0);
  expect(output).toMatch(/^service processes +\d+ +2 are not enough$/m);
});

test('the capacity command refuses invalid input: every fault at once, exit code 2', async () => {
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

test('docs/scaling.md shows the output of the capacity command', async () => {
  const doc = readFileSync(join(packageRoot, 'docs/scaling.md'), 'utf8');
  const [, args = '', output] = /```\n\$ fltr-webhooks capacity (.+)\n([^]*?)```/.exec(doc) ?? [];
  expect((await run(...args.split(' '))).output).toBe(output);
});
