/** Response times are counted in steps. Their upper bounds in ms; the last step has none. */
const bounds = [1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000] as const;
export const stepCount = bounds.length + 1;

/** The step of a response time. */
export function stepOf(durationMs: number): number {
  const step = bounds.findIndex((bound) => durationMs <= bound);
  return step === -1 ? bounds.length : step;
}

/**
 * The response time that a share of the attempts does not exceed, as precise as the steps; null without attempts.
 *
 * @param counts attempts in each step
 * @param share 0 to 1: 0.95 for the 95th percentile
 * @example percentile([0, 0, 9, 1, …], 0.5) // about 3.7 ms
 */
export function percentile(counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const rank = share * total;
  let before = 0;
  for (const [step, count] of counts.entries()) {
    if (count > 0 && before + count >= rank) {
      const low = step === 0 ? 0 : (bounds[step - 1] ?? 0);
      const high = bounds[step] ?? low;
      return Math.round((low + ((high - low) * (rank - before)) / count) * 10) / 10;
    }
    before += count;
  }
  return bounds.at(-1) ?? null;
}
