/** Steps of one check, some 50 ms. A value of 256 KiB has 40,000 items at most that a producer would send. */
export const maxCheckSteps = 200_000;

/** The check needs more steps than one may have. */
export class CheckTooLong extends Error {}

let stepsLeft = 0;

/**
 * Runs a check with a budget of its own. Checks are synchronous, so there is one at a time.
 *
 * @throws CheckTooLong
 */
export function withBudget<Result>(check: () => Result): Result {
  stepsLeft = maxCheckSteps;
  return check();
}

/** Counts steps of the check that runs. @throws CheckTooLong */
export function spend(steps: number): void {
  stepsLeft -= steps;
  if (stepsLeft < 0) throw new CheckTooLong();
}
