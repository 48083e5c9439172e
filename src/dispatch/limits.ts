/**
 * How deliveries get their workflows, and the numbers that bound it.
 *
 * Whoever accepts, releases or reopens deliveries only writes rows. Publishing writes each row with its owner; to all other
 * rows the dispatcher of some process assigns one. That process then starts the workflow. There are two kinds:
 *
 * - Own workflow. While fewer than `maxStarts` starts are in flight, each delivery gets a workflow of its own, at once.
 * - Group. Deliveries that are accepted while `maxStarts` starts are in flight share workflows for their first attempts. So an
 *   idle service has no groups, and a burst has large ones: a group costs Temporal about as much as a single delivery.
 *
 * While a group waits for capacity, newly published deliveries are added to it until it is full.
 *
 * A start is in flight until the requests of its first attempts are sent, or until `maxFlightMs` have passed since Temporal
 * acknowledged it, so that a receiver that hangs delays no other. So the service starts no more deliveries than it
 * can attempt. At most about `maxWaitingGroups` groups wait in memory. All other deliveries wait in PostgreSQL without an
 * owner; the dispatcher assigns owners to the oldest first, and keeps one start for them while there are any.
 *
 * Deliveries to webhooks that hang or reject, or whose policy allows no shared workflow, those whose first attempt is over, and
 * those that a group did not deliver get workflows of their own. In a burst they are queued for the reconciler. It starts
 * `maxReconciledAtOnce` at once while this process starts no deliveries that may share. Otherwise it starts one in `giveWayMs`:
 * such a workflow costs the engine as much as a whole group, and many at once would delay the groups by seconds.
 *
 * A process that assigned an owner has `startWithinMs` to start it; `reconcileStartAfter` (10 s, `src/db/deliveries-table.ts`)
 * after the assignment the reconciler of any process takes over. The first is shorter than the second, and the limit goes
 * with the call to Temporal as a fixed time: so no two processes start the same run, however long one of them is stopped.
 */
export const maxStarts = 3;

/** The same where no two deliveries share a workflow: as many as a small server takes without falling behind. */
export const maxStartsUngrouped = 32;

export const maxFlightMs = 250;

/** Where other processes make the attempts, this process does not learn of them: three starts in so long keep a small server busy. */
export const maxFlightForOthersMs = 100;

/** Groups whose owner is written and whose start waits for capacity: about a second's work. */
export const maxWaitingGroups = 32;

/** How often the dispatcher looks for rows that other processes left without an owner. */
export const pollMs = 1000;

/** How long a line that another transaction has locked is left alone. */
export const lockedLineMs = 20;

export const startWithinMs = 8000;

/** One call to Temporal. */
export const callTimeoutMs = 10_000;

/** Rows that the reconciler claims at once, for 30 s; it works on them for `claimWorkMs` at most. */
export const claimSize = 200;
export const claimWorkMs = 20_000;

/** Checks and starts that the reconciler makes side by side. */
export const maxReconciledAtOnce = 8;

/** Ten starts a second that are not urgent, beside first attempts: at most about a seventh of the starts of a small server. */
export const giveWayMs = 100;

/** When the reconciler looks again: at a group under way, and at a workflow that was woken. */
export const checkGroupSeconds = 5;
export const checkWokenSeconds = 30;
/** At a delivery that it could not start or check: Temporal may be back in a moment. */
export const checkSoonSeconds = 2;
/** At one that runs and waits as its row does. */
export const checkRunningSeconds = 300;

/**
 * How many deliveries an operation acts on at the same time. How many in a second is its caller's choice; 50, the default, is a
 * quarter of the starts of a small Temporal server, so that new events are still delivered at once.
 */
export const maxActionsAtOnce = 8;
