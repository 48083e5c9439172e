export type Parts = { node: number; temporal: number; postgresql: number };

/**
 * The costs behind `fltr-webhooks capacity`, each measured or from the source in its comment. CPU is milliseconds of one
 * core, measured on a shared machine with 2 cores. On another machine all of them differ by about the same factor.
 */
export const capacityCosts = {
  /** CPU of a delivery that succeeds at once in its own workflow: an idle service. */
  cpuMsAlone: { node: 5, temporal: 5, postgresql: 5 },
  /** CPU of a delivery that succeeds at once in a burst, in groups of `burstGroup`. */
  cpuMsInBurst: { node: 0.65, temporal: 0.35, postgresql: 0.5 },
  /** Average deliveries per group in a burst; FLTR_DELIVERIES_PER_WORKFLOW allows 64. */
  burstGroup: 62,
  /** Workflow starts per second and process above which deliveries are grouped. */
  startsPerProcess: 100,
  /** CPU of a retry: the extra cost of a regular activity over a local one. */
  cpuMsPerRetry: { node: 5, temporal: 14, postgresql: 6.5 },
  /** CPU of deleting a workflow after its retention. */
  cpuMsToRemoveWorkflow: { node: 0, temporal: 0.9, postgresql: 1.5 },

  /** Writes to a workflow's state, each under its history shard's lock: start, and the task that ends it. */
  writesPerWorkflow: 2,
  /** The same for a retry: timer, task, activity started and completed, task. */
  writesPerRetry: 5,
  /** Assumed writes per second of one history shard; 240 were measured without reaching its limit. */
  writesPerShard: 100,

  /** Transactions in Temporal's two databases for a workflow with one local activity. */
  temporalTransactionsPerWorkflow: 25,
  temporalTransactionsToRemoveWorkflow: 25,
  temporalTransactionsPerRetry: 28,
  /** Transactions in the service's database per workflow: publishing, loading, recording ... */
  ourTransactionsPerWorkflow: 3,
  /** ... and per delivery of a large group, whose statements have a bounded size. */
  ourTransactionsPerDelivery: 0.07,
  ourTransactionsPerRetry: 4,

  /** Bytes in the service's database with all indexes: an event without its body, a delivery with its first attempt. */
  bytesPerEvent: 450,
  bytesPerDelivery: 2800,
  /** The attempt's row, and the growth of the delivery's row. */
  bytesPerRetry: 1000,
  /** Bytes in Temporal's two databases with the indexes that visibility-lean.sql leaves, half of them visibility. */
  temporalBytesPerWorkflow: 19_000,
  /** Per further delivery of a group: its ids and its outcome in the history, its id in a keyword list. */
  temporalBytesPerDelivery: 150,
  temporalBytesPerRetry: 1500,

  /** Cores that one process of the service can use: a main thread, threads for workflows, the SDK's core. */
  coresPerProcess: 1.5,
  /** Average use to plan for; the rest is reserved for peaks. */
  utilization: 0.7,
  /** The concurrent requests to receivers of one process. */
  concurrentAttemptsPerProcess: 200,
  /** The average response time of receivers. */
  responseSeconds: 0.2,

  /** Defaults of the service's settings. */
  waitsSeconds: [60, 300, 1800],
  attemptsPerWebhookAndHour: 1000,
  payloadRetentionDays: 30,
  /** Defaults of docker-compose.yml. */
  temporalRetentionDays: 7,
  composeShards: 4,

  /** The limits of one server each, in the cores, transactions or GiB of a large machine. */
  coresOfTemporalInOneProcess: 4,
  coresOfOnePostgresql: 8,
  transactionsOfOnePostgresql: 20_000,
  gibOfPlainTables: 500,

  /**
   * Temporal Cloud's actions (docs.temporal.io/cloud/actions): one for a start, for all local activities of one workflow
   * task, for a timer and for each attempt of an activity; two for a child. Search attributes set at the start are free.
   * A signal, a query or an upsert of search attributes is one, but only manual actions on a delivery need them.
   */
  actionsPerWorkflow: 2,
  actionsPerContinued: 3,
  actionsPerRetry: 2,
  /** The service's two schedules, every 300 s and every hour: three actions per run and one for its activity. */
  actionsPerMonthOfSchedules: (30 * 24 * 12 + 30 * 24) * 4,
  /** The initial limit of a namespace; it grows with use. */
  actionsPerSecondOfNamespace: 500,
};

export type CapacityCosts = typeof capacityCosts;
