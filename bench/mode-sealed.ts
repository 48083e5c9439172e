import { startProduct } from './bench.ts';
import { median } from './measure.ts';
import { figuresOf, runLoad, type LoadSpec } from './measured-load.ts';
import { singleBurst, type OnServers } from './mode.ts';
import { ratio, type Part } from './report.ts';

/** No kind is always first. Three of each: the first run of all also warms the caches. */
const rounds = [
  [false, true],
  [true, false],
  [false, true],
];

/** The same loads with payloads as they are and sealed: publishing alone, then a burst that is delivered. */
export const sealed: OnServers = async (bench, servers) => {
  const burst = singleBurst(bench);
  const { events } = bench;
  const alone: LoadSpec[] = [
    { ...burst, name: `${2 * events} single`, events: 2 * events, isPublishOnly: true },
    {
      ...burst,
      name: `${4 * events} in batches of 100`,
      events: 4 * events,
      batch: 100,
      isPublishOnly: true,
    },
  ];
  const parts: Part[] = [];
  const cpuMs = new Map<string, { plain: number[]; sealed: number[] }>();
  for (const [role, specs] of [
    ['api', alone],
    ['up', [burst]],
  ] as const)
    for (const [number, kinds] of rounds.entries())
      for (const isSealed of kinds) {
        const settings = { ...bench.settings, FLTR_ENCRYPT_PAYLOADS: String(isSealed) };
        const database = `sealed_${role}_${number}_${String(isSealed)}`;
        const product = await startProduct({ ...bench, settings }, servers, { role, database });
        for (const spec of specs) {
          const name = `${spec.name}, ${isSealed ? 'sealed' : 'as they are'}`;
          const part = figuresOf(await runLoad(bench, product, { ...spec, name }));
          parts.push(part);
          const figures = cpuMs.get(spec.name) ?? { plain: [], sealed: [] };
          cpuMs.set(spec.name, figures);
          const { node, postgresql } = part.cpuMsPerDelivery;
          if (node !== null && postgresql !== null)
            figures[isSealed ? 'sealed' : 'plain'].push(node + postgresql);
        }
        await product.stop();
      }
  // Of the service and PostgreSQL: the other parts do the same in both.
  const times = [...cpuMs.values()].map((each) => ratio(median(each.sealed), median(each.plain)));
  const [cpuTimesSingle = null, cpuTimesInBatches = null, cpuTimesInBurst = null] = times;
  return { parts, more: { cpuTimesSingle, cpuTimesInBatches, cpuTimesInBurst } };
};
