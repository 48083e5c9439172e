import { expect, test } from 'vitest';
import { describeFailure, runChaos } from '../../bench/chaos/chaos.ts';
import { commandNames } from '../../bench/chaos/scenario.ts';

/** No run begins after that, so that all of them together take about three minutes. */
const budgetMs = 120_000;
const longestRunMs = 300_000;

test(
  'accepted events are delivered as promised, through random steps and faults',
  { timeout: budgetMs + longestRunMs },
  async () => {
    // The same steps in every run of the suite, so that a failure comes from a change of the code. `npm run chaos` takes others.
    const seed = Number(process.env['FLTR_CHAOS_SEED'] ?? 20_261);
    const lines = [`seed ${seed}`];
    const { runs, failure } = await runChaos({
      seed,
      budgetMs,
      shrinkMs: 0,
      commands: commandNames,
      print: (line) => lines.push(line),
    });
    if (failure) expect.fail([...lines, describeFailure(failure)].join('\n'));
    expect(runs).toBeGreaterThan(0);
  },
);
