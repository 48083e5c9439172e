import type { Startable } from './deliveries.ts';

/** Which workflows are going to carry deliveries that are about to be inserted. */
export type StartPlan = {
  /** The workflow that carries each delivery, in order; null: settled later. */
  workflowIds: readonly (string | null)[];
  /** After the commit, with what was really inserted. */
  start(inserted: readonly Startable[]): void;
  /** Nothing was committed. */
  cancel(): void;
};

/** Asked before the deliveries are inserted, so that their rows name their workflows. */
export type PlanStarts = (deliveries: readonly Startable[]) => StartPlan;

/**
 * Plans for a caller's own transaction: what the statement inserted is started when the transaction is committed. After
 * `rolledBack` the transaction may be run again.
 */
export function startAfterCommit(planStarts: PlanStarts): {
  planStarts: PlanStarts;
  committed(): void;
  rolledBack(): void;
} {
  const plans: { plan: StartPlan; inserted: readonly Startable[] }[] = [];
  return {
    planStarts(deliveries) {
      const plan = planStarts(deliveries);
      return {
        workflowIds: plan.workflowIds,
        start: (inserted) => void plans.push({ plan, inserted }),
        cancel: () => plan.cancel(),
      };
    },
    committed: () => plans.splice(0).forEach(({ plan, inserted }) => plan.start(inserted)),
    rolledBack: () => plans.splice(0).forEach(({ plan }) => plan.cancel()),
  };
}
