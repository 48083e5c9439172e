import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createMetrics } from '../../src/observability/metrics.ts';
import { aggregationOfDefaults, createMetricsSum } from '../../src/observability/metrics-sum.ts';
import { parseMetrics, sumOf } from '../kit/read-metrics.ts';

/** The metrics of a process that has counted so much. */
function valuesOf(count: number) {
  const registry = new Registry();
  const registers = [registry];
  new Counter({ name: 'made_total', help: 'made', labelNames: ['kind'], registers }).inc(
    { kind: 'own' },
    count,
  );
  const histogram = new Histogram({ name: 'seconds', help: 'seconds', buckets: [1, 10], registers });
  histogram.observe(count);
  new Gauge({ name: 'open', help: 'open', registers }).set(count);
  return registry.getMetricsAsJSON();
}

test('counters, histograms and gauges of the processes are added up', async () => {
  const sum = createMetricsSum();
  sum.set(1, await valuesOf(2));
  sum.set(2, await valuesOf(30));
  const samples = parseMetrics(await sum.read());
  expect(sumOf(samples, 'made_total', { kind: 'own' })).toBe(32);
  expect([sumOf(samples, 'seconds_sum'), sumOf(samples, 'seconds_count')]).toEqual([32, 2]);
  const buckets = ['1', '10', '+Inf'].map((le) => sumOf(samples, 'seconds_bucket', { le }));
  expect(buckets).toEqual([0, 1, 2]);
  expect(sumOf(samples, 'open')).toBe(32);
});

test('the counters of a process stay when it has ended, and its gauges go', async () => {
  const sum = createMetricsSum();
  for (const [process, count] of [
    [1, 1],
    [2, 20],
    [3, 300],
  ] as const)
    sum.set(process, await valuesOf(count));
  sum.end(1);
  sum.end(2);
  // One that was never read has nothing.
  sum.end(4);
  const read = async () => parseMetrics(await sum.read());
  const samples = await read();
  expect([sumOf(samples, 'made_total'), sumOf(samples, 'seconds_count'), sumOf(samples, 'open')]).toEqual([
    321, 3, 300,
  ]);
  sum.end(3);
  const last = await read();
  expect(sumOf(last, 'made_total')).toBe(321);
  expect(last.some(({ name }) => name === 'open')).toBe(false);
});

test('of delays the longest counts, of starts the latest, and every such metric is there', async () => {
  const sum = createMetricsSum();
  const values = await createMetrics().valuesOfProcess();
  for (const [name, aggregator] of Object.entries(aggregationOfDefaults))
    expect(values.find((metric) => metric.name === name)).toMatchObject({ name, aggregator });
  for (const [process, value] of [
    [1, 5],
    [2, 7],
    [3, 6],
  ] as const) {
    const changed = values.map((metric) =>
      metric.name in aggregationOfDefaults ? { ...metric, values: [{ value, labels: {} }] } : metric,
    );
    sum.set(process, changed);
  }
  const samples = parseMetrics(await sum.read());
  for (const name of Object.keys(aggregationOfDefaults))
    expect([name, sumOf(samples, name)]).toEqual([name, 7]);
  expect(sumOf(samples, 'fltr_processes')).toBe(3);
  expect(sumOf(samples, 'nodejs_version_info')).toBe(1);
});

test("prom-client's other metrics of a process are such that a sum, or its own aggregation, is correct", async () => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const values = await registry.getMetricsAsJSON();
  const others = values.filter(({ name }) => !(name in aggregationOfDefaults));
  const notAdded = others.filter(({ aggregator }) => aggregator !== 'sum').map(({ name }) => name);
  expect(notAdded.toSorted()).toEqual([
    'nodejs_eventloop_lag_max_seconds',
    'nodejs_eventloop_lag_mean_seconds',
    'nodejs_eventloop_lag_min_seconds',
    'nodejs_eventloop_lag_stddev_seconds',
    'nodejs_version_info',
  ]);
});
