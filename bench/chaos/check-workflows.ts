import type { Facts } from './facts.ts';

const mostHistoryEvents = 200;

/**
 * No delivery has two workflows at once, no workflow runs for an ended delivery, none ran again without a request, and no
 * history grows without bound.
 */
export function checkWorkflows({
  model,
  deliveries,
  runs,
}: Pick<Facts, 'model' | 'deliveries' | 'runs'>): string[] {
  const faults: string[] = [];
  const webhookOf = new Map(model.webhooks.map((webhook) => [webhook.id, webhook]));
  for (const { workflowId, historyLength } of runs)
    if (historyLength > mostHistoryEvents)
      faults.push(`The history of ${workflowId} has ${historyLength} events`);
  for (const { id, webhookId, status, isScheduled, waitReason, parked } of deliveries) {
    const running = runs.filter(({ deliveryIds, isRunning }) => isRunning && deliveryIds.includes(id));
    const own = runs.filter(({ workflowId }) => workflowId === id);
    const isParked = waitReason === 'down';
    const isWaiting = (status === 'pending' && !isScheduled && !isParked) || status === 'retrying';
    if (running.length > 1)
      faults.push(
        `${id} has ${running.length} workflows: ${running.map((run) => run.workflowId).join(', ')}`,
      );
    if (!isWaiting && running.length > 0)
      faults.push(`${id} is ${status}, and ${running[0]?.workflowId} still runs for it`);
    if (isWaiting && running.length === 0) faults.push(`${id} is ${status}, and no workflow owns it`);
    const { retries = 0, reschedules = 0 } = model.actions.get(id) ?? {};
    const { activations = 0, recoveries = 0, operations = 0 } = webhookOf.get(webhookId) ?? {};
    const most = 1 + retries + reschedules + activations + recoveries + operations + parked;
    if (own.length > most) faults.push(`${id} was run ${own.length} times, and ${most} were requested`);
  }
  const groups = new Map<string, number>();
  for (const { workflowId, deliveryIds } of runs)
    if (!deliveryIds.includes(workflowId)) groups.set(workflowId, (groups.get(workflowId) ?? 0) + 1);
  for (const [id, count] of groups) if (count > 1) faults.push(`The group ${id} was run ${count} times`);
  return faults;
}
