import { parseArgs } from 'node:util';
import { describeFailure, runChaos } from './chaos.ts';
import { commandNames, type CommandName, type Scenario } from './scenario.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string' },
    path: { type: 'string' },
    'shrink-minutes': { type: 'string', default: '10' },
    /** Steps to leave out, separated by commas: to get past a known fault. */
    without: { type: 'string', default: '' },
    /** A regular expression: known faults to ignore. */
    ignore: { type: 'string' },
    /** One scenario as a failure prints it, and how often to run it. */
    scenario: { type: 'string' },
    times: { type: 'string', default: '1' },
  },
});
const without = values.without.split(',').filter(Boolean);
const unknown = without.filter((name) => !commandNames.includes(name as CommandName));
if (unknown.length > 0)
  throw new Error(`No such step: ${unknown.join(', ')}. There are ${commandNames.join(', ')}`);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
print(`Seed ${seed}`);
const { runs, failure } = await runChaos({
  seed,
  ...(values.path === undefined ? {} : { path: values.path }),
  ...(values.scenario === undefined ? {} : { scenario: JSON.parse(values.scenario) as Scenario }),
  ...(values.ignore === undefined ? {} : { ignore: new RegExp(values.ignore) }),
  times: Number(values.times),
  budgetMs: Number(values.minutes) * 60_000,
  shrinkMs: Number(values['shrink-minutes']) * 60_000,
  commands: commandNames.filter((name) => !without.includes(name)),
  print,
});
print(failure ? `\n${describeFailure(failure)}` : `\nPassed: ${runs} runs without a fault.`);
process.exit(failure ? 1 : 0);
