import { startProduct } from './bench.ts';
import { figuresOf, runLoad } from './measured-load.ts';
import { singleBurst, type OnServers } from './mode.ts';
import type { Manner } from './receiver.ts';

/** Of ten webhooks one hangs, and three respond to each event's first request with 503. */
export function mannerOf(number: number): Manner {
  const digit = number % 10;
  return digit === 0 ? 'hanging' : digit <= 3 ? 'failing' : 'healthy';
}

/** Longer than the wait before a first retry, 60 s. */
const stallMs = 120_000;

/** How receivers that fail or hang affect healthy ones. */
export const failing: OnServers = async (bench, servers) => {
  const product = await startProduct(bench, servers);
  const plain = figuresOf(await runLoad(bench, product, { ...singleBurst(bench), name: 'all healthy' }));
  const mixed = await runLoad(bench, product, {
    ...singleBurst(bench),
    name: '60 % healthy, 30 % fail first, 10 % hang',
    mannerOf,
    stallMs,
  });
  const ofManner = (manner: Manner, name: string) => ({
    ...figuresOf(mixed, (fate) => fate.manner === manner),
    name,
  });
  const healthy = ofManner('healthy', 'healthy, beside the others');
  const [p99, plainP99] = [healthy.endToEndMs.p99, plain.endToEndMs.p99];
  return {
    parts: [healthy, ofManner('failing', 'those that fail first'), plain],
    more: { healthyP99TimesPlain: p99 !== null && plainP99 ? p99 / plainP99 : null },
  };
};
