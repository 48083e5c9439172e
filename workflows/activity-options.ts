/**
 * Temporal retries an activity only where something keeps it from working at all, such as a database that is away. It does
 * so without a limit, so this never ends a delivery. A worker that died is noticed by its missing heartbeats.
 */
export const activityOptions = {
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' },
} as const;

/**
 * A local activity runs within its workflow task and costs Temporal half as much. For a wait longer than the threshold,
 * such as for a database that is away, a timer is used, and no slot of the worker is occupied.
 */
export const localActivityOptions = {
  startToCloseTimeout: '5 minutes',
  localRetryThreshold: '5 seconds',
  retry: activityOptions.retry,
} as const;
