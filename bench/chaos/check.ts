import { checkCap } from './check-cap.ts';
import {
  checkAcceptance,
  checkAttempts,
  checkReceived,
  checkRetries,
  checkStates,
} from './check-deliveries.ts';
import { checkGone } from './check-gone.ts';
import { checkLogs } from './check-logs.ts';
import { checkOrder } from './check-order.ts';
import { checkPacing } from './check-pacing.ts';
import { checkPolicies } from './check-policies.ts';
import { checkTimes } from './check-times.ts';
import { checkTimelines } from './check-timelines.ts';
import { checkWorkflows } from './check-workflows.ts';
import type { Facts } from './facts.ts';

/** The faults of the state at the end; none if all promises of the service are kept. */
export function checkAll(facts: Facts): string[] {
  const { model, requests, attempts } = facts;
  return [
    ...checkAcceptance(facts),
    ...checkStates(facts),
    ...checkRetries(facts),
    ...checkReceived(facts),
    ...checkAttempts(facts),
    ...checkCap({ attempts, requests, caps: model.caps, shifts: model.shifts }),
    ...checkTimes(facts),
    ...checkPolicies(facts),
    ...checkPacing(facts),
    ...checkGone(facts),
    ...checkOrder(facts),
    ...checkWorkflows(facts),
    ...checkTimelines(facts.timelines, facts.startedAt),
    ...checkLogs(facts.logLines),
  ];
}
