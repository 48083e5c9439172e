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
 * A local activity runs within its workflow task and costs the engine half as much. What makes it wait longer than the
 * threshold, such as a database that is away, waits by a timer and occupies no slot of the worker.
 */
export const localActivityOptions = {
  startToCloseTimeout: '5 minutes',
  localRetryThreshold: '5 seconds',
  retry: activityOptions.retry,
} as const;
