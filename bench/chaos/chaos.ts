import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { runScenario } from './run.ts';
import { describeScenario, scenarios, type CommandName, type Scenario } from './scenario.ts';
import { startServers } from './servers.ts';

export type ChaosOptions = {
  seed: number;
  /** fast-check's own name for one scenario of a seed. */
  path?: string;
  /** No run begins later than this. */
  budgetMs: number;
  /** For finding a shorter list of steps that fails as well. */
  shrinkMs: number;
  /** The steps of the scenarios. */
  commands: readonly CommandName[];
  /** Known faults to ignore where they are found at the end. */
  ignore?: RegExp;
  /** One scenario in place of random ones, and how often to run it. */
  scenario?: Scenario;
  times?: number;
  print: (line: string) => void;
};

export type ChaosResult = { runs: number; failure: ChaosFailure | null };
/** `path` null: the scenario was given. */
export type ChaosFailure = { seed: number; path: string | null; scenario: Scenario; faults: string[] };

/** Runs random scenarios one after the other until the time is over or one fails, and then shrinks that one. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, path, budgetMs, shrinkMs, commands, ignore, scenario, times = 1, print } = options;
  const dataDir = mkdtempSync(join(tmpdir(), 'fltr-chaos-'));
  const servers = await startServers(dataDir, print);
  const deadline = Date.now() + budgetMs;
  const faultsOf = new Map<Scenario, string[]>();
  let shrinkUntil = Infinity;
  let runs = 0;
  const property = fc.asyncProperty(scenarios(commands), async (random) => {
    const current = scenario ?? random;
    // Once the time for shrinking is over, every shorter scenario counts as passed.
    if (Date.now() > shrinkUntil) return;
    runs += 1;
    print(
      `Run ${runs}${shrinkUntil === Infinity ? '' : ', a shorter one'}: ${current.commands.length} steps`,
    );
    const all = await runScenario(servers, current, dataDir, print);
    // Only the first line names the fault; the others may contain anything.
    const faults = all.filter((fault) => !ignore?.test(fault.split('\n')[0] ?? ''));
    if (faults.length === 0) return;
    if (shrinkUntil === Infinity) {
      print(`It failed:\n${shownFaults(faults)}`);
      shrinkUntil = Date.now() + shrinkMs;
    }
    faultsOf.set(random, faults);
    throw new Error(faults.join('\n'));
  });
  try {
    for (let next = 0; Date.now() < deadline; next += 1) {
      const details = await fc.check(property, {
        seed: seed + next,
        numRuns: 1,
        endOnFailure: shrinkMs === 0 || scenario !== undefined,
        ...(path === undefined ? {} : { path }),
      });
      if (details.failed) {
        const [failed] = details.counterexample ?? [];
        if (!failed) throw details.errorInstance;
        const faults = faultsOf.get(failed) ?? [String(details.errorInstance)];
        const failedPath = scenario === undefined ? details.counterexamplePath : null;
        return {
          runs,
          failure: { seed: seed + next, path: failedPath, scenario: scenario ?? failed, faults },
        };
      }
      if (path !== undefined || (scenario !== undefined && runs === times)) break;
    }
    return { runs, failure: null };
  } finally {
    await servers.stop();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

const mostShown = 8;

const shownFaults = (faults: readonly string[]): string =>
  [
    ...faults.slice(0, mostShown),
    ...(faults.length > mostShown ? [`… and ${faults.length - mostShown} more`] : []),
  ].join('\n');

/** The faults, the steps that led to them, and how to repeat them. */
export function describeFailure({ seed, path, scenario, faults }: ChaosFailure): string {
  return [
    'Found:',
    shownFaults(faults),
    '',
    'By these steps:',
    describeScenario(scenario),
    '',
    ...(path === null ? [] : [`Again: npm run chaos -- --seed ${seed} --path ${path}`]),
    `These steps: npm run chaos -- --scenario '${JSON.stringify(scenario)}'`,
  ].join('\n');
}
