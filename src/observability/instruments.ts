import { Counter, Histogram, type Registry } from 'prom-client';

/** The one label of a metric, with its values. Each exists from the start, at 0, so that `rate` sees the first increase. */
type Label<Value extends string> = Readonly<Record<string, readonly Value[]>>;

/** Makes metrics of a registry. The children of a label are resolved once: looking labels up costs more than counting. */
export function instrumentsOf(registry: Registry) {
  const registers = [registry];
  return {
    counter(name: string, help: string) {
      const made = new Counter({ name, help, registers });
      return (count = 1): void => made.inc(count);
    },
    counterBy<Value extends string>(name: string, help: string, label: Label<Value>) {
      const made = new Counter({ name, help, labelNames: Object.keys(label), registers });
      const values = Object.values(label).flat();
      const children = new Map(values.map((value) => [value, made.labels(value)]));
      for (const child of children.values()) child.inc(0);
      return (value: Value, count = 1): void => children.get(value)?.inc(count);
    },
    histogramBy<Value extends string>(name: string, help: string, label: Label<Value>, buckets: number[]) {
      const labelNames = Object.keys(label);
      const made = new Histogram({ name, help, labelNames, buckets, registers });
      const values = Object.values(label).flat();
      for (const value of values) for (const labelName of labelNames) made.zero({ [labelName]: value });
      const children = new Map(values.map((value) => [value, made.labels(value)]));
      return (value: Value, seconds: number): void => children.get(value)?.observe(seconds);
    },
  };
}
