import { newDatabase, startProduct, type Product } from './bench.ts';
import type { LeastSenderCalls } from './least-sender.ts';
import { accountCount, figuresOf, runLoad } from './measured-load.ts';
import { singleBurst, steadyLoad, type OnServers } from './mode.ts';
import { startRemote } from './remote.ts';
import { ratio, type Part } from './report.ts';

/** The product beside the least that a durable sender in Node does (`least-sender.ts`), on the same servers, in turn. */
export const limit: OnServers = async (bench, servers) => {
  const remote = startRemote<LeastSenderCalls>('least-sender');
  bench.stops.push(() => remote.stop());
  const databaseUrl = await newDatabase(servers, 'least_sender');
  const { receiverUrl } = bench;
  const url = await remote.call('listen', { databaseUrl, receiverUrl }, 30_000);
  const product = await startProduct(bench, servers);
  const least: Product = {
    ...product,
    apiUrls: [url],
    parts: { ...product.parts, node: { pids: [remote.pid], isTree: true } },
  };
  const targets = Array.from({ length: accountCount }, () => ({
    accountId: '',
    key: 'none',
    webhookId: '',
    manner: 'healthy' as const,
  }));
  const more: Record<string, number | null> = {};
  const parts: Part[] = [];
  for (const [name, spec] of [
    ['burst', singleBurst(bench)],
    ['steady', steadyLoad(bench, 20)],
  ] as const) {
    const own = figuresOf(await runLoad(bench, product, spec));
    const other = figuresOf(
      await runLoad(bench, least, { ...spec, name: `the limit: ${spec.name}` }, async () => targets),
    );
    parts.push(own, other);
    more[`${name}CpuTimesLimit`] = ratio(own.cpuMsPerDelivery.all, other.cpuMsPerDelivery.all);
    more[`${name}LatencyTimesLimit`] = ratio(own.endToEndMs.p50, other.endToEndMs.p50);
    more[`${name}DeliveredTimesLimit`] = ratio(own.deliveredPerSecond, other.deliveredPerSecond);
  }
  return { parts, more };
};
