import { expect, test } from 'vitest';
import { isPassed, runTorture } from '../../bench/torture.ts';

test(
  'kill -9 of every part beside pauses, cancels and lost connections: all that was accepted or committed ends, each by one workflow',
  { timeout: 240_000 },
  async () => {
    const lines: string[] = [];
    const result = await runTorture({
      deliveries: 400,
      webhooks: 30,
      kills: 4,
      // Without the busy loop of `npm run torture`: the other tests keep the machine busy.
      print: (line) => lines.push(line),
    });
    expect(isPassed(result), [...lines, JSON.stringify(result)].join('\n')).toBe(true);
    const { committed, rolledBack } = result.outbox;
    expect(result.accepted).toBeGreaterThanOrEqual(10 * (30 + committed));
    expect([committed > 0, rolledBack > 0]).toEqual([true, true]);
  },
);
