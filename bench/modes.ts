import { startProduct } from './bench.ts';
import { cpuBetween, isDisturbed, takeCpu } from './measure.ts';
import { figuresOf, runLoad, type LoadSpec } from './measured-load.ts';
import {
  betweenBaselines,
  onServers,
  singleBurst,
  startBaseline,
  steadyLoad,
  type Mode,
  type OnServers,
} from './mode.ts';
import { embedded } from './mode-embedded.ts';
import { exportLog } from './mode-export.ts';
import { failing } from './mode-failing.ts';
import { filters } from './mode-filters.ts';
import { limit } from './mode-limit.ts';
import { outbox } from './mode-outbox.ts';
import { defineEventTypes } from './targets.ts';
import { log } from './mode-log.ts';
import { ordered } from './mode-ordered.ts';
import { sealed } from './mode-sealed.ts';
import { streams } from './mode-streams.ts';
import { scheduled } from './mode-scheduled.ts';
import { waiting, waitingSettings } from './mode-waiting.ts';
import { noFigures, ratio, type Part } from './report.ts';

const burst: OnServers = async (bench, servers) => {
  const product = await startProduct(bench, servers);
  const { events } = bench;
  const specs: LoadSpec[] = [
    singleBurst(bench),
    { ...singleBurst(bench), name: `${events} in batches of 100`, batch: 100 },
    { ...singleBurst(bench), name: `${events} at 1000/s`, pace: { perSecond: 1000 } },
  ];
  return betweenBaselines(bench, servers, async () => {
    const parts: Part[] = [];
    for (const spec of specs) parts.push(figuresOf(await runLoad(bench, product, spec)));
    return parts;
  });
};

const steady: OnServers = async (bench, servers) => {
  const product = await startProduct(bench, servers);
  const baseline = await startBaseline(bench, servers).latency();
  const parts: Part[] = [];
  for (const perSecond of [20, 150])
    parts.push(figuresOf(await runLoad(bench, product, steadyLoad(bench, perSecond))));
  return { parts, more: { baselineLatencyMsP50: baseline.p50, baselineLatencyMsP99: baseline.p99 } };
};

/**
 * Without workers, so deliveries only wait: with a type that is built in, then with one of its own and 20 filters for each
 * webhook. Each part has its own database, without the backlog of another.
 */
const ingest: OnServers = async (bench, servers) => {
  const parts: Part[] = [];
  for (const [batch, times] of [
    [1, 2],
    [100, 4],
  ] as const) {
    for (const isOwnType of [false, true]) {
      const database = `ingest_${batch}${isOwnType ? '_own' : ''}`;
      const product = await startProduct(bench, servers, { role: 'api', database });
      const events = bench.events * times;
      const kind = batch === 1 ? `${events} single` : `${events} in batches of ${batch}`;
      const name = isOwnType ? `${kind}, own type, 20 filters` : kind;
      const [apiUrl = ''] = product.apiUrls;
      const filters = isOwnType ? await defineEventTypes(product.pool, apiUrl) : [];
      const [published] = filters;
      const types = published === undefined ? {} : { types: { published, filters } };
      const spec = { ...singleBurst(bench), ...types, name, events, batch, isPublishOnly: true };
      parts.push(figuresOf(await runLoad(bench, product, spec)));
      await product.stop();
    }
  }
  const [single, ownSingle, batches, ownBatches] = parts.map(({ cpuMsPerDelivery }) => cpuMsPerDelivery.all);
  return {
    parts,
    more: {
      ownTypeCpuTimesSingle: ratio(ownSingle, single),
      ownTypeCpuTimesInBatches: ratio(ownBatches, batches),
    },
  };
};

const processes: OnServers = async (bench, servers) =>
  betweenBaselines(bench, servers, async () => {
    const parts: Part[] = [];
    for (const count of [1, 2, 4]) {
      const product = await startProduct(bench, servers, {
        processes: count,
        database: `processes_${count}`,
      });
      const name = count === 1 ? '1 process' : `${count} processes`;
      parts.push(figuresOf(await runLoad(bench, product, { ...singleBurst(bench), name })));
      await product.stop();
    }
    return parts;
  });

const baseline: OnServers = async (bench, servers) => {
  const engine = startBaseline(bench, servers);
  const before = takeCpu({});
  const { cpuMs, ...baselinePerSecond } = await engine.rates();
  const endToEndMs = await engine.latency();
  const otherCores = cpuBetween(before, takeCpu({}))?.otherCores ?? null;
  const part: Part = {
    name: 'engine alone',
    ...noFigures,
    baselinePerSecond,
    endToEndMs,
    otherCores,
    isDisturbed: isDisturbed(otherCores),
  };
  return { parts: [part], more: { baselineCpuMsPerActivity: cpuMs } };
};

export const modes: Record<string, Mode> = {
  steady: { summary: '20 and 150 events a second', run: onServers(steady) },
  burst: { summary: 'many events at once: single, in batches, and at 1000/s', run: onServers(burst) },
  ingest: {
    summary: 'publishing alone, without workers: single and in batches, with a type of its own, too',
    run: onServers(ingest),
  },
  outbox: {
    summary: 'from the insert into an outbox to the acceptance, in the same database and from another one',
    run: onServers(outbox),
  },
  filters: {
    summary:
      'publishing alone, to accounts with 100 webhooks that get nothing: without filters, then with one each',
    run: onServers(filters),
  },
  sealed: {
    summary: 'publishing alone and a burst, with payloads as they are and sealed, in turn',
    run: onServers(sealed),
  },
  baseline: { summary: 'the engine alone: workflows that do nothing', run: onServers(baseline) },
  limit: {
    summary: 'a burst and 20 events a second, beside the least that a durable sender in Node does',
    run: onServers(limit),
  },
  failing: {
    summary: 'a burst where 30 % of the webhooks fail first and 10 % hang, beside one without',
    run: onServers(failing),
  },
  waiting: {
    summary: 'many waiting deliveries, then steady and burst; idle CPU and memory before and after',
    settings: waitingSettings,
    run: onServers(waiting),
  },
  scheduled: {
    summary: 'many scheduled deliveries: publishing them, idle CPU while they wait, and how late some start',
    run: onServers(scheduled),
  },
  log: { summary: 'the calls on a long log: pages, filters, statistics', run: onServers(log) },
  export: { summary: 'exports of a long log: rows a second and memory', run: onServers(exportLog) },
  streams: {
    summary: 'a burst, and publishing alone, without and with open streams of changes, in turn',
    run: onServers(streams),
  },
  ordered: {
    summary: 'a burst to webhooks with ordering, beside one without',
    run: onServers(ordered),
  },
  processes: { summary: 'a burst to 1, 2 and 4 whole processes', run: onServers(processes) },
  embedded: {
    summary: 'a burst to the service with embedded PostgreSQL and Temporal',
    isEmbedded: true,
    run: embedded,
  },
};
