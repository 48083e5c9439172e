import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { packageRoot } from '../../src/package-root.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { install } from '../kit/outbox.ts';
import { parseMetrics, type Sample } from '../kit/read-metrics.ts';
import { startProcess } from '../kit/process.ts';
import { startReceiver } from '../kit/test-receiver.ts';
import { startService, untilReady } from '../kit/service.ts';

const read = (name: string) => readFileSync(join(packageRoot, 'docs/observability', name), 'utf8');

type Panel = { type: string; title: string; targets?: { expr: string; legendFormat: string }[] };
const dashboard = JSON.parse(read('dashboard.json')) as { uid: string; panels: Panel[] };
const targets = dashboard.panels.flatMap(({ title, targets: of = [] }) =>
  of.map((target) => ({ ...target, title })),
);
const alerts = read('alerts.yml');
const alertExprs = [...alerts.matchAll(/^ +expr: (.+)$/gm)].map(([, expr = '']) => expr);

/** Prometheus gives these to every sample, or makes them itself. */
const ofPrometheus = { labels: ['job', 'instance'], names: ['up'] };

type Selector = { name: string; labels: { label: string; operator: string; value: string }[] };

/** The metrics that a query reads, and by which labels it picks or groups them. */
function selectorsOf(expr: string): { selectors: Selector[]; grouped: string[] } {
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */));
  const rest = expr.replaceAll(/\bby \([^)]*\)/g, '').replaceAll(/\[[^\]]*\]/g, '');
  const selectors = [...rest.matchAll(/([a-z_:][\w:]*)(?:\{([^}]*)\})?(?![\w(])/g)]
    .filter(([, name = '']) => name.includes('_') || name === 'up')
    .filter(([, name = '']) => name !== 'histogram_quantile')
    .map(([, name = '', list = '']) => ({
      name,
      labels: [...list.matchAll(/(\w+)(=~|!=|=)"([^"]*)"/g)].map(
        ([, label = '', operator = '', value = '']) => ({ label, operator, value }),
      ),
    }));
  return { selectors, grouped };
}

const samples: Sample[] = [];
beforeAll(async () => {
  const receiver = await startReceiver((request, response) => {
    response.writeHead(request.path === '/fine' ? 200 : 503).end();
  });
  const service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1' }, 'api');
  const port = await reservePort();
  const temporalPort = await reservePort();
  await install(service.pool);
  const worker = startProcess(['worker'], {
    ...service.env,
    FLTR_OUTBOX_URLS: 'service',
    FLTR_WORKER_PORT: String(port),
    FLTR_TEMPORAL_METRICS_ADDRESS: `127.0.0.1:${temporalPort}`,
  });
  const addresses = [service.apiUrl, `http://127.0.0.1:${port}`, `http://127.0.0.1:${temporalPort}`];
  await untilReady(`http://127.0.0.1:${port}`);
  for (const path of ['/fine', '/broken']) await service.newWebhook(receiver.url + path);
  const { deliveries } = await service.publish();
  await waitForStatus(service, deliveries[0]?.id ?? '', 'delivered');
  await waitForStatus(service, deliveries[1]?.id ?? '', 'failed');
  expect((await service.call('GET', '/v1/webhooks?limit=0')).status).toBe(422);
  // A fault of ours.
  await service.pool.query(`alter table webhooks rename to webhooks_away`);
  expect((await service.call('GET', '/v1/webhooks')).status).toBe(500);
  await service.pool.query(`alter table webhooks_away rename to webhooks`);
  for (const address of addresses)
    samples.push(...parseMetrics(await (await fetch(`${address}/metrics`)).text()));
  worker.kill('SIGTERM');
  await worker.exited();
  await service.stop();
  await receiver.close();
});

test.each([
  ...targets.map(({ title, expr }) => [`panel "${title}"`, expr] as const),
  ...alertExprs.map((expr) => ['rule', expr] as const),
])('%s: the metrics that %s reads exist', (_where, expr) => {
  const { selectors, grouped } = selectorsOf(expr);
  expect(selectors).not.toEqual([]);
  const groupable = new Set(ofPrometheus.labels);
  for (const { name, labels } of selectors) {
    if (ofPrometheus.names.includes(name)) continue;
    const found = samples.filter((sample) => sample.name === name);
    expect(found, name).not.toEqual([]);
    for (const sample of found) for (const label of Object.keys(sample.labels)) groupable.add(label);
    for (const { label, operator, value } of labels) {
      if (ofPrometheus.labels.includes(label)) continue;
      const values = found.flatMap((sample) => sample.labels[label] ?? []);
      for (const wanted of operator === '=~' ? value.split('|') : [value])
        expect(values, `${name}{${label}}`).toContain(wanted);
    }
  }
  for (const label of grouped) expect([...groupable], `by (${label})`).toContain(label);
});

test('this test finds names that do not exist', () => {
  const { selectors, grouped } = selectorsOf(
    'sum by (le, code) (rate(fltr_a_bucket{job="$job", code=~"x|y"}[5m])) / max(fltr_b) > 0.5',
  );
  expect(selectors.map(({ name }) => name)).toEqual(['fltr_a_bucket', 'fltr_b']);
  expect(selectors[0]?.labels).toEqual([
    { label: 'job', operator: '=', value: '$job' },
    { label: 'code', operator: '=~', value: 'x|y' },
  ]);
  expect(grouped).toEqual(['le', 'code']);
});

test('the legends name labels that their queries keep', () => {
  for (const { expr, legendFormat, title } of targets) {
    const kept = [
      ...selectorsOf(expr).grouped,
      ...(/\bby \(|\b(?:min|max|sum)\(/.test(expr) ? [] : ['instance']),
    ];
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
      expect(kept, title).toContain(label);
  }
});

test('every metric of ours is in the guide, and the guide has no other', () => {
  const guide = read('README.md');
  const families = new Set(
    samples
      .map(({ name }) => name)
      .filter((name) => name.startsWith('fltr_'))
      .map((name) => name.replace(/(?<=_seconds)_(?:bucket|sum|count)$/, '')),
  );
  const described = new Set([...guide.matchAll(/^\| `(fltr_\w+)/gm)].map(([, name = '']) => name));
  expect([...described].sort()).toEqual([...families].sort());
});

test('every alert is in the guide, with its remedy', () => {
  const names = [...alerts.matchAll(/^ +- alert: (\w+)$/gm)].map(([, name = '']) => name);
  expect(names).toHaveLength(alertExprs.length);
  const described = [...read('README.md').matchAll(/^\| `(Fltr\w+)` +\|.{20,}\|.{20,}\|$/gm)].map(
    ([, name = '']) => name,
  );
  expect(described).toEqual(names);
});
