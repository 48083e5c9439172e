import { table } from '../src/cli/table.ts';
import { disturbingCores, isDisturbed, median } from './measure.ts';

type Percentiles = { p50: number | null; p99: number | null };
export type ByPart = {
  node: number | null;
  temporal: number | null;
  postgresql: number | null;
  /** The three together: the cost of the service. */
  all: number | null;
  load: number | null;
  receiver: number | null;
};

/** The measurements of one load; null: not measured. */
export type Figures = {
  accepted: number | null;
  delivered: number | null;
  acceptedPerSecond: number | null;
  deliveredPerSecond: number | null;
  /** The engine alone, in the same run. */
  baselinePerSecond: { noop: number | null; activity: number | null };
  /** deliveredPerSecond / baselinePerSecond.activity */
  timesBaseline: number | null;
  publishMs: Percentiles;
  endToEndMs: Percentiles;
  cpuMsPerDelivery: ByPart;
  memoryMiB: ByPart;
  lost: number | null;
  repeated: number | null;
  /** Cores that other processes used; more than 0.2: disturbed. */
  otherCores: number | null;
  isDisturbed: boolean;
  seconds: number | null;
  /** Calls of the load whose response was not the expected one: how many of each response. */
  refused: Record<string, number>;
};

export type Part = { name: string } & Figures;

export type More = Record<string, number | null | ByPart>;

export type BenchDocument = {
  mode: string;
  machine: Record<string, string | number>;
  versions: Record<string, string>;
  settings: Record<string, string | number | boolean>;
  runs: number;
} & Figures & {
    /** The figures of this mode alone, by name. */
    more: More;
    parts: Part[];
  };

const noneByPart: ByPart = {
  node: null,
  temporal: null,
  postgresql: null,
  all: null,
  load: null,
  receiver: null,
};

export const noFigures: Figures = {
  accepted: null,
  delivered: null,
  acceptedPerSecond: null,
  deliveredPerSecond: null,
  baselinePerSecond: { noop: null, activity: null },
  timesBaseline: null,
  publishMs: { p50: null, p99: null },
  endToEndMs: { p50: null, p99: null },
  cpuMsPerDelivery: noneByPart,
  memoryMiB: noneByPart,
  lost: null,
  repeated: null,
  otherCores: null,
  isDisturbed: false,
  seconds: null,
  refused: {},
};

/** `all` is the product's three parts: neither load nor receiver. */
export function byPart(values: Record<string, number | null> | null, divisor = 1): ByPart {
  const of = (name: string): number | null => {
    const value = values?.[name] ?? null;
    return value === null || divisor === 0 ? null : value / divisor;
  };
  const [node, temporal, postgresql] = [of('node'), of('temporal'), of('postgresql')];
  const own = [node, temporal, postgresql].filter((value) => value !== null);
  const all = own.length === 0 ? null : own.reduce((sum, value) => sum + value, 0);
  return { node, temporal, postgresql, all, load: of('load'), receiver: of('receiver') };
}

/** Adds the baseline of the same run. */
export function withBaseline(part: Part, baselinePerSecond: Figures['baselinePerSecond']): Part {
  const { deliveredPerSecond } = part;
  const { activity } = baselinePerSecond;
  const timesBaseline = deliveredPerSecond === null || !activity ? null : deliveredPerSecond / activity;
  return { ...part, baselinePerSecond, timesBaseline };
}

/**
 * Several runs as one: the median of each number. Lost and repeated deliveries are summed, and the worst disturbance stays: a
 * median would hide them.
 */
export function mediansOf<T>(runs: readonly T[], name = ''): T {
  const [first] = runs as readonly [T, ...T[]];
  const numbers = runs.filter((value) => typeof value === 'number');
  if (numbers.length > 0) {
    if (name === 'lost' || name === 'repeated') return numbers.reduce((sum, value) => sum + value, 0) as T;
    if (name === 'otherCores') return Math.max(...numbers) as T;
    return median(numbers) as T;
  }
  if (name === 'isDisturbed') return runs.some(Boolean) as T;
  if (typeof first !== 'object' || first === null) return first;
  if (Array.isArray(first)) {
    const lists = runs as unknown as readonly unknown[][];
    return first.map((_, index) => mediansOf(lists.map((list) => list[index]))) as T;
  }
  const keys = new Set(runs.flatMap((value) => Object.keys(value as object)));
  return Object.fromEntries(
    [...keys].map((key) => [
      key,
      mediansOf(
        runs.map((value) => (value as Record<string, unknown>)[key]).filter((value) => value !== undefined),
        key,
      ),
    ]),
  ) as T;
}

const digits = (value: number): number => (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
const text = (value: number | null): string =>
  value === null ? '–' : Number.isInteger(value) ? String(value) : value.toFixed(digits(value));
const pair = ({ p50, p99 }: Percentiles): string => (p50 === null ? '–' : `${text(p50)} / ${text(p99)}`);
const parts = ({ node, temporal, postgresql, all }: ByPart): string =>
  all === null ? '–' : `${text(all)} (${[node, temporal, postgresql].map(text).join(' + ')})`;

function row(part: Part): Record<string, string> {
  return {
    part: part.name,
    'accepted/s': text(part.acceptedPerSecond),
    'delivered/s': text(part.deliveredPerSecond),
    '× baseline': text(part.timesBaseline),
    'publish p50 / p99 ms': pair(part.publishMs),
    'end to end p50 / p99 ms': pair(part.endToEndMs),
    'CPU ms each': parts(part.cpuMsPerDelivery),
    'PSS MiB': parts(part.memoryMiB),
    lost: text(part.lost),
    repeated: text(part.repeated),
    others: `${text(part.otherCores)}${part.isDisturbed ? ' !' : ''}`,
  };
}

const list = (values: Record<string, unknown>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ');

/** For programs. */
export function toJson(document: BenchDocument): string {
  const round = (_name: string, value: unknown) =>
    typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
  return JSON.stringify(document, round, 2);
}

/** For people. */
export function toText(document: BenchDocument): string {
  const { mode, machine, versions, settings, runs, baselinePerSecond, more } = document;
  const { noop, activity } = baselinePerSecond;
  const refused = document.parts.flatMap((part) =>
    Object.entries(part.refused).map(([response, count]) => `${part.name}: ${count} times ${response}`),
  );
  return [
    `${mode}${runs > 1 ? `, medians of ${runs} runs` : ''}`,
    `Machine: ${list(machine)}`,
    `Versions: ${list(versions)}`,
    `Settings: ${list(settings)}`,
    '',
    table(document.parts.map(row)),
    '',
    ...(noop === null ? [] : [`Baseline: ${text(noop)}/s without, ${text(activity)}/s with an activity.`]),
    ...Object.entries(more).map(
      ([name, value]) =>
        `${name}: ${value !== null && typeof value === 'object' ? parts(value) : text(value)}`,
    ),
    ...refused,
    'CPU and memory: all (node + temporal + postgresql); load and receiver are not in it.',
    ...(document.isDisturbed
      ? [`Disturbed: other processes took ${text(document.otherCores)} cores, more than ${disturbingCores}.`]
      : []),
  ].join('\n');
}

/** The document's own figures: those of its first part, but losses, repeats and disturbance of all parts. */
export function headlineOf(all: readonly Part[], headline: Part | undefined): Figures {
  const { name: _name, ...figures } = headline ?? { name: '', ...noFigures };
  const known = (values: readonly (number | null)[]) => values.filter((value) => value !== null);
  const sum = (values: readonly (number | null)[]) =>
    known(values).length === 0 ? null : known(values).reduce((total, value) => total + value, 0);
  const others = known(all.map(({ otherCores }) => otherCores));
  const otherCores = others.length === 0 ? null : Math.max(...others);
  return {
    ...figures,
    lost: sum(all.map(({ lost }) => lost)),
    repeated: sum(all.map(({ repeated }) => repeated)),
    otherCores,
    isDisturbed: isDisturbed(otherCores),
  };
}

/** Null where one of the two was not measured. */
export const ratio = (one: number | null | undefined, other: number | null | undefined): number | null =>
  typeof one === 'number' && typeof other === 'number' && other !== 0 ? one / other : null;
