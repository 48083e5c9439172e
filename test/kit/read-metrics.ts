export type Sample = { name: string; labels: Record<string, string>; value: number };

/** The samples that Prometheus would read of a `/metrics`. @throws where a line is none of its text format's */
export function parseMetrics(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, list = '', value] = /^([a-zA-Z_:]\w*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) throw new Error(`This is no sample: ${line}`);
      const labels = Object.fromEntries(
        [...list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', text = '']) => [label, text]),
      );
      return { name, labels, value: Number(value.replace('Inf', 'Infinity')) };
    });
}

/** The sum of the samples that have these labels. @throws where there is none */
export function sumOf(samples: readonly Sample[], name: string, labels: Record<string, string> = {}): number {
  const matching = samples.filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (matching.length === 0) throw new Error(`There is no ${name} with ${JSON.stringify(labels)}`);
  return matching.reduce((sum, { value }) => sum + value, 0);
}
