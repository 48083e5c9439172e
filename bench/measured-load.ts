import { setTimeout as delay } from 'node:timers/promises';
import { newServiceKey, newTargets, type Target } from './targets.ts';
import type { Bench, Product } from './bench.ts';
import type { LoadInput, LoadResult } from './load.ts';
import { cpuBetween, isDisturbed, percentiles, takeCpu, takeMemory, type CpuUse } from './measure.ts';
import type { Manner } from './receiver.ts';
import { byPart, noFigures, type Part } from './report.ts';

export type LoadSpec = {
  name: string;
  events: number;
  /** Events a call; 1: single publishes. */
  batch: number;
  pace: LoadInput['pace'];
  mannerOf?: (account: number) => Manner;
  /** Accounts with one webhook each. */
  accounts?: number;
  /** Published with a service key, one event to each account in turn. */
  isByServiceKey?: boolean;
  /** The type of the events, to which each webhook subscribes. Without it: one that is built in, and `*`. */
  types?: { published: string; filters: readonly string[] };
  orderKeys?: number;
  /** Whether anything is delivered. */
  isPublishOnly?: boolean;
  /** After this long without an arrival, the missing deliveries count as lost. */
  stallMs?: number;
};

/** The times of one event of a load, in ms since 1970; NaN: never. */
export type Fate = {
  manner: Manner;
  isAccepted: boolean;
  calledAt: number;
  deliveredAt: number;
  requests: number;
};

export type Outcome = {
  spec: LoadSpec;
  load: LoadResult;
  fates: Fate[];
  cpu: CpuUse | null;
  memory: Record<string, number | null>;
};

export const accountCount = 100;
const limitMs = 600_000;
const stallMs = 30_000;
/** The work after the last arrivals is measured too. */
const tailMs = 1000;
let loads = 0;

/** A load on accounts of its own, or on `targetsFor`, after a small warm-up of the same kind. */
export async function runLoad(
  bench: Bench,
  product: Product,
  spec: LoadSpec,
  targetsFor?: (mannerOf: (account: number) => Manner) => Promise<readonly Target[]>,
): Promise<Outcome> {
  bench.report(`${spec.name}: ${bench.warmUpEvents} events to warm up, then ${spec.events} …`);
  const { accounts = accountCount, mannerOf = () => 'healthy' } = spec;
  const [apiUrl = ''] = product.apiUrls;
  const newAccounts =
    targetsFor ??
    ((manner: typeof mannerOf) =>
      newTargets(product.pool, apiUrl, bench.receiverUrl, accounts, manner, spec.types?.filters));
  const warmUpPace = 'callers' in spec.pace ? spec.pace : { callers: 32 };
  const warmUp = { ...spec, events: bench.warmUpEvents, pace: warmUpPace };
  await publishAndWait(bench, product, warmUp, await newAccounts(() => 'healthy'));
  const targets = await newAccounts(mannerOf);
  await delay(tailMs);
  return publishAndWait(bench, product, spec, targets);
}

async function publishAndWait(
  bench: Bench,
  product: Product,
  spec: LoadSpec,
  targets: readonly Target[],
): Promise<Outcome> {
  const { events, batch, pace, isByServiceKey = false } = spec;
  const idPrefix = `evt_bench${(loads += 1)}`;
  await bench.receiver.call('reset', undefined, 10_000);
  const before = takeCpu(product.parts);
  const input: LoadInput = {
    apiUrls: product.apiUrls,
    keys: isByServiceKey ? [await newServiceKey(product.pool, 'bench')] : targets.map(({ key }) => key),
    ...(isByServiceKey && { accountIds: targets.map(({ accountId }) => accountId) }),
    ...(spec.types && { eventType: spec.types.published }),
    ...(spec.orderKeys !== undefined && { orderKeys: spec.orderKeys }),
    idPrefix,
    events,
    batch,
    pace,
    limitMs,
  };
  const targetOf = (number: number) =>
    targets[(isByServiceKey ? number : Math.floor(number / batch)) % targets.length];
  const load = await bench.load.call('publishAll', input, limitMs + 60_000);
  const expected = load.accepted.reduce(
    (sum, isAccepted, number) => sum + (isAccepted && targetOf(number)?.manner !== 'hanging' ? 1 : 0),
    0,
  );
  if (!spec.isPublishOnly) await untilDelivered(bench, expected, spec.stallMs ?? stallMs);
  await delay(tailMs);
  const cpu = cpuBetween(before, takeCpu(product.parts));
  const memory = takeMemory(product.parts);

  const arrivals = await bench.receiver.call('take', undefined, 60_000);
  const indexOf = new Map(arrivals.ids.map((id, index) => [id, index]));
  const fates = Array.from({ length: events }, (_, number): Fate => {
    const index = indexOf.get(`${idPrefix}_${number}`);
    return {
      manner: targetOf(number)?.manner ?? 'healthy',
      isAccepted: load.accepted[number] === 1,
      calledAt: load.calledAt[number] ?? NaN,
      deliveredAt: index === undefined ? NaN : (arrivals.deliveredAt[index] ?? NaN),
      requests: index === undefined ? 0 : (arrivals.counts[index] ?? 0),
    };
  });
  return { spec, load, fates, cpu, memory };
}

/** Waits until `expected` are delivered, nothing has arrived for `stallMs`, or the limit is reached. */
async function untilDelivered(bench: Bench, expected: number, stallMs: number): Promise<void> {
  const deadline = Date.now() + limitMs;
  let last = -1;
  let movedAt = Date.now();
  for (;;) {
    const { delivered, requests } = await bench.receiver.call('progress', undefined, 10_000);
    if (delivered >= expected) return;
    if (requests !== last) movedAt = Date.now();
    last = requests;
    if (Date.now() - movedAt > stallMs || Date.now() > deadline) return;
    await delay(100);
  }
}

export const isDelivered = ({ deliveredAt }: Fate): boolean => !Number.isNaN(deliveredAt);

/** Requests beyond those that a delivery to that receiver needs. */
function repeats({ manner, requests }: Fate): number {
  return manner === 'hanging' ? 0 : Math.max(0, requests - (manner === 'failing' ? 2 : 1));
}

/** The figures of a load. `isCounted` selects the deliveries for those figures that can be split. */
export function figuresOf(
  { spec, load, fates: all, cpu, memory }: Outcome,
  isCounted: (fate: Fate) => boolean = () => true,
): Part {
  const fates = all.filter(isCounted);
  const accepted = all.filter(({ isAccepted }) => isAccepted);
  const delivered = fates.filter(isDelivered);
  const lastAt = delivered.reduce((latest, { deliveredAt }) => Math.max(latest, deliveredAt), -Infinity);
  const isPublishOnly = spec.isPublishOnly ?? false;
  const each = isPublishOnly ? accepted.length : all.filter(isDelivered).length;
  const otherCores = cpu?.otherCores ?? null;
  return {
    name: spec.name,
    ...noFigures,
    accepted: accepted.length,
    delivered: isPublishOnly ? null : delivered.length,
    acceptedPerSecond: accepted.length / ((load.endedAt - load.startedAt) / 1000),
    deliveredPerSecond: delivered.length === 0 ? null : delivered.length / ((lastAt - load.startedAt) / 1000),
    publishMs: percentiles(load.publishMs.filter((ms) => !Number.isNaN(ms))),
    endToEndMs: percentiles(delivered.map(({ deliveredAt, calledAt }) => deliveredAt - calledAt)),
    cpuMsPerDelivery: byPart(cpu?.partMs ?? null, each),
    memoryMiB: byPart(memory),
    lost: isPublishOnly
      ? null
      : fates.filter((fate) => fate.isAccepted && fate.manner !== 'hanging' && !isDelivered(fate)).length,
    repeated: isPublishOnly ? null : fates.reduce((sum, fate) => sum + repeats(fate), 0),
    otherCores,
    isDisturbed: isDisturbed(otherCores),
    seconds: cpu?.seconds ?? null,
    refused: load.refused,
  };
}
