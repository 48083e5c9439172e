export type Parts = { node: number; temporal: number; postgresql: number };

/**
 * What `fltr-webhooks capacity` reckons with, each measured or taken from where its comment says. CPU is milliseconds of
 * one core, measured on a shared machine of 2 cores: another machine differs by a factor, the proportions hold.
 */
export const capacityCosts = {
  /** CPU of a delivery that succeeds at once and has a workflow of its own: a quiet service. */
  cpuMsAlone: { node: 5, temporal: 5, postgresql: 5 },
  /** CPU of one that succeeds at once in a burst, where workflows carry `burstGroup` deliveries. */
  cpuMsInBurst: { node: 0.65, temporal: 0.35, postgresql: 0.5 },
  /** Deliveries that one workflow carries in a burst, on average; FLTR_DELIVERIES_PER_WORKFLOW allows 64. */
  burstGroup: 62,
  /** Workflow starts a second that one process makes before deliveries that come meanwhile share a workflow. */
  startsPerProcess: 100,
  /** CPU of a retry: what a workflow with a regular activity, not eager, takes more than one with a local activity. */
  cpuMsPerRetry: { node: 5, temporal: 14, postgresql: 6.5 },
  /** CPU of removing a workflow when its retention is over. */
  cpuMsToRemoveWorkflow: { node: 0, temporal: 0.9, postgresql: 1.5 },

  /** Writes to a workflow's state, each under its history shard's lock: start, and the task that ends it. */
  writesPerWorkflow: 2,
  /** The same for a retry: timer, task, activity started and completed, task. */
  writesPerRetry: 5,
  /** Writes a second that one history shard is trusted with: one of them took 240 without being the slowest part. */
  writesPerShard: 100,

  /** Transactions in Temporal's two databases, of a workflow with one local activity, alone or a group's. */
  temporalTransactionsPerWorkflow: 25,
  temporalTransactionsToRemoveWorkflow: 25,
  temporalTransactionsPerRetry: 28,
  /** Transactions in the service's database: publishing, loading, recording, for all that shares a workflow ... */
  ourTransactionsPerWorkflow: 3,
  /** ... and what each delivery of a large group adds, for the statements of a group are of bounded size. */
  ourTransactionsPerDelivery: 0.07,
  ourTransactionsPerRetry: 4,

  /** Bytes in the service's database with all indexes: an event without its body, a delivery with its first attempt. */
  bytesPerEvent: 450,
  bytesPerDelivery: 2800,
  /** Its attempt's row, and what the delivery's row grows by each time that it is written. */
  bytesPerRetry: 1000,
  /** Bytes in Temporal's two databases with the indexes that visibility-lean.sql leaves, half of them visibility. */
  temporalBytesPerWorkflow: 19_000,
  /** The same, for each delivery more that shares the workflow: its ids in the history and in three keyword lists. */
  temporalBytesPerDelivery: 300,
  temporalBytesPerRetry: 1500,

  /** Cores that one process of the service can use: a main thread, threads for workflows, the SDK's core. */
  coresPerProcess: 1.5,
  /** How much of what there is may be used on average; the rest is for peaks. */
  utilization: 0.7,
  /** Calls to receivers are not CPU: one process has at most this many under way. */
  attemptsUnderWayPerProcess: 200,
  /** How long a receiver takes to answer, on average. */
  answerSeconds: 0.2,

  /** Defaults of the service's settings: waits before the retries, attempts of a webhook an hour, bodies kept. */
  waitsSeconds: [60, 300, 1800],
  attemptsPerWebhookAndHour: 1000,
  payloadRetentionDays: 30,
  /** Defaults of docker-compose.yml. */
  temporalRetentionDays: 7,
  composeShards: 4,

  /** Where one of each gives way, in the cores, transactions or GiB that a large machine gives it. */
  coresOfTemporalInOneProcess: 4,
  coresOfOnePostgresql: 8,
  transactionsOfOnePostgresql: 20_000,
  gibOfPlainTables: 500,

  /**
   * Temporal Cloud's actions (docs.temporal.io/cloud/actions): a start is one, all local activities of one workflow task
   * are one, a timer is one, each start or retry of an activity is one, a child is two. Search attributes given at the
   * start are none; a signal, a query, an upsert of search attributes are one each, and none of them is part of a delivery
   * that nobody steers.
   */
  actionsPerWorkflow: 2,
  actionsPerHandOver: 3,
  actionsPerRetry: 2,
  /** The service's two schedules: every 300 s and every hour, three actions a run and one for its activity. */
  actionsPerMonthOfSchedules: (30 * 24 * 12 + 30 * 24) * 4,
  /** A namespace's limit before it has grown with use. */
  actionsPerSecondOfNamespace: 500,
};

export type CapacityCosts = typeof capacityCosts;
