import { join } from 'node:path';
import { addOwnType } from './act-types.ts';
import { createWebhook } from './act-webhooks.ts';
import { describeChanges } from './changes.ts';
import { checkAll } from './check.ts';
import { collectFacts } from './facts.ts';
import { perform } from './perform.ts';
import { describeCommand, type Scenario } from './scenario.ts';
import type { Servers } from './servers.ts';
import { endFaults, waitForEnd } from './end-of-run.ts';
import { startWorld } from './world.ts';

let runs = 0;

/** Runs a scenario from an empty database to its end and returns its faults. It stops at the first ones. */
export async function runScenario(
  servers: Servers,
  scenario: Scenario,
  dataDir: string,
  print: (line: string) => void,
): Promise<string[]> {
  runs += 1;
  const startedAt = Date.now();
  const seconds = () => ((Date.now() - startedAt) / 1000).toFixed(1);
  const world = await startWorld(servers, scenario, join(dataDir, `run-${runs}`), print);
  const { model } = world;
  try {
    await addOwnType(world);
    // Without webhooks most steps would have no effect.
    for (const [behaviour, order] of [
      ['good', 'none'],
      ['flaky', 'none'],
      ['slow', 'by_key'],
    ] as const)
      await createWebhook(world, { filters: 0, active: true, behaviour, order });
    for (const command of scenario.commands) {
      if (model.faults.length > 0) break;
      print(`  ${seconds()} s: ${describeCommand(command)}`);
      await perform(world, command);
    }
    if (model.faults.length === 0) await endFaults(world, scenario.activateAtEnd);
    const hours = await waitForEnd(world);
    if (model.faults.length > 0) return model.faults;
    print(`  ${seconds()} s: everything ended after ${hours} hours`);
    const facts = await collectFacts(world);
    print(`  ${describeChanges(facts.changes)}`);
    model.faults.push(...checkAll(facts));
    return model.faults;
  } finally {
    await world.stop();
    print(`  ${seconds()} s: ${model.faults.length === 0 ? 'no faults' : `${model.faults.length} faults`}`);
  }
}
