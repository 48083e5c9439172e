import { startProduct, type Product } from './bench.ts';
import { accountCount, figuresOf, runLoad, type LoadSpec } from './measured-load.ts';
import { singleBurst, type OnServers } from './mode.ts';
import type { Manner } from './receiver.ts';
import { ratio, type Part } from './report.ts';
import { newTargets } from './targets.ts';

/** Of the events of each part, one after the other. */
const perLine = 10;
const mostEvents = 2000;

/** A burst to webhooks with ordering, beside the same one without. */
export const ordered: OnServers = async (bench, servers) => {
  const product = await startProduct(bench, servers);
  const events = Math.min(bench.events, mostEvents);
  const lines = Math.ceil(events / perLine);
  const newOrdered = async (mannerOf: (account: number) => Manner) => {
    const [apiUrl = ''] = product.apiUrls;
    const targets = await newTargets(product.pool, apiUrl, bench.receiverUrl, accountCount, mannerOf);
    await setOrdering(product, targets);
    return targets;
  };
  const spec: LoadSpec = { ...singleBurst(bench), events };
  const parts: Part[] = [
    figuresOf(
      await runLoad(
        bench,
        product,
        { ...spec, name: `${events} in ${lines} lines`, orderKeys: lines },
        newOrdered,
      ),
    ),
    figuresOf(await runLoad(bench, product, { ...spec, name: `${events} without order` })),
  ];
  const [inOrder, without] = parts.map(({ cpuMsPerDelivery }) => cpuMsPerDelivery.all);
  return { parts, more: { orderedCpuTimesUnordered: ratio(inOrder, without) } };
};

const setOrdering = ({ pool }: Product, targets: readonly { webhookId: string }[]) =>
  pool.query(`update webhooks set ordering = 'by_key' where id = any($1)`, [
    targets.map(({ webhookId }) => webhookId),
  ]);
