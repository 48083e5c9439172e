import { startProduct, type Bench, type Product } from './bench.ts';
import { median } from './measure.ts';
import { figuresOf, runLoad, type LoadSpec } from './measured-load.ts';
import { singleBurst, type OnServers } from './mode.ts';
import { startRemote, type Remote } from './remote.ts';
import { ratio, type Part } from './report.ts';
import type { StreamCalls } from './stream-clients.ts';
import { newTargets } from './targets.ts';

/** Loads of each kind: without streams, with them, with them, without, and so on, so that no kind is always first. */
const rounds = 4;
const accounts = 100;
const limitMs = 120_000;

/** The same load without and with open streams of its accounts: all are delivered, then without workers. */
export const streams: OnServers = async (bench, servers) => {
  const clients = startRemote<StreamCalls>('stream-clients');
  bench.stops.push(() => clients.stop());
  const up = await startProduct(bench, servers, { database: 'streams_up' });
  const burst = await alternate(bench, up, clients, singleBurst(bench));
  await up.stop();
  const api = await startProduct(bench, servers, { role: 'api', database: 'streams_api' });
  const spec = { ...singleBurst(bench), events: 2 * bench.events, isPublishOnly: true };
  const published = await alternate(bench, api, clients, { ...spec, name: `${spec.events} published` });
  await api.stop();
  return {
    parts: [...burst.parts, ...published.parts],
    more: {
      streams: bench.streams,
      changesOfAStreamInBurst: burst.changes / (rounds * bench.streams),
      cpuTimesInBurst: burst.cpuTimes,
      cpuTimesOfPublishing: published.cpuTimes,
    },
  };
};

async function alternate(bench: Bench, product: Product, clients: Remote<StreamCalls>, spec: LoadSpec) {
  const parts: Part[] = [];
  const cpuMs: Record<'with' | 'without', number[]> = { with: [], without: [] };
  let changes = 0;
  for (let round = 0; round < rounds; round += 1)
    for (const kind of round % 2 === 0 ? (['without', 'with'] as const) : (['with', 'without'] as const)) {
      const name = `${spec.name}, ${kind === 'with' ? `${bench.streams} streams` : 'no stream'}`;
      const part = figuresOf(
        await runLoad(bench, product, { ...spec, name }, async (mannerOf) => {
          await clients.call('closeStreams', undefined, limitMs);
          const [apiUrl = ''] = product.apiUrls;
          const targets = await newTargets(product.pool, apiUrl, bench.receiverUrl, accounts, mannerOf);
          const keys = targets.map(({ key }) => key);
          const count = kind === 'with' ? bench.streams : 0;
          await clients.call('openStreams', { apiUrl, keys, count }, limitMs);
          return targets;
        }),
      );
      changes += await clients.call('closeStreams', undefined, limitMs);
      parts.push(part);
      if (part.cpuMsPerDelivery.all !== null) cpuMs[kind].push(part.cpuMsPerDelivery.all);
    }
  return { parts, changes, cpuTimes: ratio(median(cpuMs.with), median(cpuMs.without)) };
}
