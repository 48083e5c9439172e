import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { packageRoot } from '../src/package-root.ts';
import { accountCount } from './measured-load.ts';
import { createStops, postgresSettings, withBench, type BenchOptions } from './bench.ts';
import { dataBytes } from './load.ts';
import type { Mode } from './mode.ts';
import { modes } from './modes.ts';
import { headlineOf, mediansOf, toJson, toText, type BenchDocument } from './report.ts';

/**
 * `npm run bench -- <mode>`: measures the service under load, on this machine. The service runs as users start it; load
 * generator and receiver are processes of their own. `--json` prints one document on standard output, and nothing else.
 */
type Flags = Omit<BenchOptions, 'report' | 'settings'> & {
  json: boolean;
  runs: number;
  set: Record<string, string>;
};

const report = (line: string): void => void process.stderr.write(`${line}\n`);

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('must be a whole number');
  return Number(text);
}

function setting(text: string, settings: Record<string, string>): Record<string, string> {
  const [, name, value] = /^([A-Z_]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('must be NAME=VALUE');
  return { ...settings, [name]: value };
}

async function runMode(name: string, mode: Mode, requested: BenchOptions): Promise<BenchDocument> {
  const options = { ...requested, settings: { ...mode.settings, ...requested.settings } };
  const { parts, more, versions } = await withBench(options, stops, mode.run);
  return {
    mode: name,
    machine: machine(),
    versions: { ...ownVersions(), ...versions },
    settings: describe(options, mode.isEmbedded ?? false),
    runs: 1,
    ...headlineOf(parts, parts[0]),
    more,
    parts,
  };
}

function machine(): BenchDocument['machine'] {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? '',
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
  };
}

function ownVersions(): BenchDocument['versions'] {
  const { version, dependencies } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
    dependencies: Record<string, string>;
  };
  return {
    'fltr-webhooks': version,
    Node: process.version,
    'Temporal SDK': dependencies['@temporalio/worker'] ?? '',
  };
}

function describe(
  { temporal, fullVisibility, settings, ...options }: BenchOptions,
  isEmbedded: boolean,
): BenchDocument['settings'] {
  const pairs = (values: Record<string, string>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ');
  return {
    temporal: temporal === 'dev' || isEmbedded ? 'development server' : 'server on PostgreSQL',
    fullVisibility,
    postgresql: isEmbedded ? 'as the service starts it' : pairs(postgresSettings),
    product: pairs({ FLTR_API_REQUESTS_PER_MINUTE: '0', ...settings }),
    accountsWithOneWebhook: accountCount,
    dataBytes,
    warmUpEvents: options.warmUpEvents,
    baselineSeconds: options.baselineSeconds,
    costs: 'until 1 s after the last arrival; all = node + temporal + postgresql',
  };
}

const stops = createStops(report);
let stoppedBy: NodeJS.Signals | null = null;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Under npm, Ctrl-C comes twice.
    if (stoppedBy) return;
    stoppedBy = signal;
    report(`${signal}: stopping …`);
    // Parts that still run then end with this process.
    setTimeout(() => process.exit(1), 60_000).unref();
    // The run then fails, stops the parts that it was about to start, and ends.
    void stops.close();
  });
}
// Without this function the compiler takes it to be null for ever.
const stopSignal = (): NodeJS.Signals | null => stoppedBy;

const list = Object.entries(modes).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`);
await new Command('bench')
  .description(`Measures the product on this machine.\n\nModes:\n${list.join('\n')}`)
  .addOption(
    new Option('--temporal <kind>', 'its server on PostgreSQL, or its development server')
      .choices(['server', 'dev'])
      .default('server'),
  )
  .argument('<mode>')
  .option('--json', 'one JSON document', false)
  .option('--runs <n>', 'number of runs; medians are reported', wholeNumber, 1)
  .option('--events <n>', 'events of a burst', wholeNumber, 5000)
  .option('--seconds <n>', 'length of a steady load', wholeNumber, 20)
  .option('--warm-up-events <n>', 'events before each load that are not measured', wholeNumber, 1000)
  .option('--baseline-seconds <n>', 'length of each measurement of the baseline', wholeNumber, 5)
  .option('--waiting <n>', 'waiting deliveries, in the mode `waiting`', wholeNumber, 50_000)
  .option('--rows <n>', 'deliveries, in the modes `log` and `scheduled`', wholeNumber, 1_000_000)
  .option('--streams <n>', 'open streams of changes, in the mode `streams`', wholeNumber, 100)
  .option('--full-visibility', "with the indexes of Temporal's visibility that nothing uses", false)
  .option('--set <NAME=VALUE>', 'a setting of the product; may be given again', setting, {})
  .action(async (name: string, { json, runs, set, ...flags }: Flags) => {
    const mode = modes[name];
    if (!mode) throw new Error(`There is no mode ${name}. Modes: ${Object.keys(modes).join(', ')}`);
    const options = { ...flags, settings: set, report };
    const documents: BenchDocument[] = [];
    for (let run = 1; run <= Math.max(1, runs); run += 1) {
      if (runs > 1) report(`Run ${run} of ${runs}`);
      documents.push(await runMode(name, mode, options));
    }
    const document = { ...mediansOf(documents), runs: documents.length };
    process.stdout.write(`${json ? toJson(document) : toText(document)}\n`);
  })
  .parseAsync()
  .catch((error: unknown) => {
    process.exitCode = 1;
    if (stopSignal() === null)
      report(error instanceof Error ? (error.stack ?? error.message) : String(error));
  });
const signal = stopSignal();
if (signal !== null) process.exitCode = signal === 'SIGINT' ? 130 : 143;
process.exit();
