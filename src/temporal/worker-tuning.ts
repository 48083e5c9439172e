/** Attempts under way at once in one process, of deliveries that have a workflow of their own. */
export const maxConcurrentAttempts = 200;
/** A local attempt holds a workflow task until it ends: as many of these. */
const maxConcurrentWorkflowTasks = 200;

/** The options that a worker's rate depends on: the same for the service and for the program that it is compared with. */
export const workerTuning = {
  maxConcurrentActivityTaskExecutions: maxConcurrentAttempts,
  maxConcurrentLocalActivityExecutions: maxConcurrentWorkflowTasks,
  maxConcurrentWorkflowTaskExecutions: maxConcurrentWorkflowTasks,
  shutdownGraceTime: '10 seconds',
  shutdownForceTime: '20 seconds',
} as const;
