import { Context } from '@temporalio/activity';

/** The workflow's run that called this activity. */
export function currentRun(): { workflowId: string; runId: string } {
  const { workflowExecution } = Context.current().info;
  if (!workflowExecution) throw new Error('This activity is called by workflows only');
  const { workflowId, runId } = workflowExecution;
  return { workflowId, runId };
}
