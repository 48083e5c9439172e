import { Counter, Histogram, type Registry } from 'prom-client';

type Named = { registry: Registry; name: string; help: string };

/** Adds `count`, by default 1. */
export type Count = (count?: number) => void;

export function counter({ registry, name, help }: Named): Count {
  const made = new Counter({ name, help, registers: [registry] });
  return (count = 1) => made.inc(count);
}

type Labelled<Value extends string> = Named & { label: string; values: readonly Value[] };

/** A counter with one label. Every value exists from the start, at 0, so that `rate` sees the first increase. */
export function counterBy<Value extends string>({
  registry,
  name,
  help,
  label,
  values,
}: Labelled<Value>): (value: Value, count?: number) => void {
  const made = new Counter({ name, help, labelNames: [label], registers: [registry] });
  // Resolved once: looking labels up costs more than counting.
  const children = new Map(values.map((value) => [value, made.labels(value)]));
  for (const child of children.values()) child.inc(0);
  return (value, count = 1) => children.get(value)?.inc(count);
}

export function histogramBy<Value extends string>({
  registry,
  name,
  help,
  label,
  values,
  buckets,
}: Labelled<Value> & { buckets: number[] }): (value: Value, seconds: number) => void {
  const made = new Histogram({ name, help, labelNames: [label], buckets, registers: [registry] });
  for (const value of values) made.zero({ [label]: value });
  const children = new Map(values.map((value) => [value, made.labels(value)]));
  return (value, seconds) => children.get(value)?.observe(seconds);
}
