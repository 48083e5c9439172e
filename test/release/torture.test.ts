import { expect, test } from 'vitest';
import { isPassed, runTorture } from '../../bench/torture.ts';

test(
  'kill -9 of every part beside pauses, cancels and lost connections: all that was accepted ends, each by one workflow',
  { timeout: 240_000 },
  async () => {
    const lines: string[] = [];
    const result = await runTorture({
      deliveries: 400,
      webhooks: 20,
      kills: 4,
      // Without the busy loop of `npm run torture`: the other tests keep the machine busy.
      print: (line) => lines.push(line),
    });
    expect(isPassed(result), [...lines, JSON.stringify(result)].join('\n')).toBe(true);
    expect(result.accepted).toBe(400);
  },
);
