/** Attempts under way at once in one process, of deliveries that have a workflow of their own. */
export const maxConcurrentAttempts = 200;
/** A local attempt holds a workflow task until it ends: as many of these. */
const maxConcurrentWorkflowTasks = 200;

/** What a worker's rate depends on: the same for the product and for what it is measured against. */
export const workerTuning = {
  maxConcurrentActivityTaskExecutions: maxConcurrentAttempts,
  maxConcurrentLocalActivityExecutions: maxConcurrentWorkflowTasks,
  maxConcurrentWorkflowTaskExecutions: maxConcurrentWorkflowTasks,
  shutdownGraceTime: '10 seconds',
  shutdownForceTime: '20 seconds',
} as const;
