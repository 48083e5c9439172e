import type { WebhookFilter } from '../src/contracts/filter.ts';
import type { Pool } from '../src/db/pool.ts';
import { newId } from '../src/domain/ids.ts';
import { startProduct } from './bench.ts';
import { figuresOf, runLoad } from './measured-load.ts';
import { singleBurst, type OnServers } from './mode.ts';
import type { Part } from './report.ts';
import { newAccountKey, type Target } from './targets.ts';

const accounts = 20;
const webhooksEach = 100;

/** Ten conditions on the data of the load. None holds, so each of them is judged for each event. */
const filterOf = (number: number): WebhookFilter => ({
  any: [
    { path: '/data/document_id', op: 'eq', value: `none_${number}` },
    { path: '/data/document_id', op: 'suffix', value: `_none${number}` },
    { path: '/data/document_id', op: 'gt', value: `e${number}` },
    { path: '/data/dataset_id', op: 'in', value: [`ds_${number}`, 'ds_x', 'ds_y'] },
    { path: '/data/dataset_id', op: 'ne', value: 'ds_bench' },
    { path: '/data/metadata/text', op: 'prefix', value: `B${number}` },
    { path: '/data/metadata/size', op: 'lt', value: number },
    { path: '/data/size_bytes', op: 'exists' },
    { path: '/labels', op: 'eq', value: `label ${number}` },
    { path: '/event', op: 'eq', value: 'document.deleted' },
  ],
});

/** Nothing is delivered to them, so they need no secret. */
async function newFilteredTargets(pool: Pool, hasFilters: boolean): Promise<Target[]> {
  const targets: Target[] = [];
  for (let account = 0; account < accounts; account += 1) {
    const own = await newAccountKey(pool, 'bench');
    const ids = Array.from({ length: webhooksEach }, () => newId('wh'));
    await pool.query(
      `insert into webhooks (id, account_id, url, events, active, sealed_secret, filter)
       select id, $1, 'https://example.com/', $2, true, 'none', filter from unnest($3::text[], $4::jsonb[]) as g(id, filter)`,
      [
        own.accountId,
        [hasFilters ? '*' : 'document.deleted'],
        ids,
        ids.map((_, number) => (hasFilters ? JSON.stringify(filterOf(number)) : null)),
      ],
    );
    targets.push({ ...own, webhookId: ids[0] ?? '', manner: 'healthy' });
  }
  return targets;
}

/** Accounts with 100 webhooks that get none of the events: by their types, then by a filter each. */
export const filters: OnServers = async (bench, servers) => {
  const parts: Part[] = [];
  for (const batch of [1, 100])
    for (const hasFilters of [false, true]) {
      const database = `filters_${batch}_${hasFilters ? 'with' : 'without'}`;
      const product = await startProduct(bench, servers, { role: 'api', database });
      const events = bench.events * (batch === 1 ? 2 : 4);
      const name = `${events} ${batch === 1 ? 'single' : `in batches of ${batch}`}, ${hasFilters ? '100 filters' : 'no filter'}`;
      const spec = { ...singleBurst(bench), name, events, batch, isPublishOnly: true };
      parts.push(
        figuresOf(await runLoad(bench, product, spec, () => newFilteredTargets(product.pool, hasFilters))),
      );
      await product.stop();
    }
  const [single, filteredSingle, batches, filteredBatches] = parts.map(
    ({ cpuMsPerDelivery }) => cpuMsPerDelivery.node,
  );
  return {
    parts,
    more: {
      filterCpuMsOfSingleEvent: difference(filteredSingle, single),
      filterCpuMsOfEventInBatch: difference(filteredBatches, batches),
    },
  };
};

const difference = (one: number | null | undefined, other: number | null | undefined): number | null =>
  typeof one === 'number' && typeof other === 'number' ? one - other : null;
