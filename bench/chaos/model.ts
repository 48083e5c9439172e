import type { Ordering } from '../../src/contracts/webhook-policy.ts';
import { filtersThatMatch } from '../../src/domain/subscription.ts';
import { possibleValues, type Setting } from './in-force.ts';
import { letsThrough, type Policy } from './policies.ts';

/**
 * The facts that the runner knows for certain, and those that it cannot know. All times here are ms since 1970 by the machine's
 * clock: they never move when "an hour passes" in the database.
 */
export type Webhook = {
  /** Null where the response of the call that creates it was lost. */
  id: string | null;
  /** Its own path at the receiver. */
  path: string;
  filters: readonly string[];
  createSentAt: number;
  /** Null: the outcome is not known. */
  createdAt: number | null;
  deleteSentAt: number | null;
  deletedAt: number | null;
  /** Calls that may have activated it: each may start another run of its held deliveries. */
  activations: number;
  /** Whether a call may have discarded its held deliveries. */
  isDiscarded: boolean;
  recoveries: number;
  /** Bulk actions, but cancels: each may start another run of any of its deliveries. */
  operations: number;
  isCanceledInBulk: boolean;
  /** One after the other; the first one is there from the beginning. */
  policies: Setting<Policy>[];
  ordering: Ordering | null;
};

export type Event = {
  id: string;
  type: string;
  labels: readonly string[];
  sentAt: number;
  /** When the first 202 came; null: the outcome is not known. */
  acceptedAt: number | null;
  deliveries: readonly { id: string; webhookId: string }[];
  /** Times are ms since 1970; null: none was given. */
  deliverAt: number | null;
  expiresAt: number | null;
  /** For these alone; null: for those that subscribe. */
  webhookIds: readonly string[] | null;
  orderKey: string | null;
  /** Null: it was accepted alone, or it is not known whether those of its batch were accepted together. */
  batch: { number: number; index: number } | null;
};

/** The manual actions requested of one delivery, whether or not the call succeeded. */
export type Actions = {
  retries: number;
  reschedules: number;
  isFar: boolean;
  isCanceled: boolean;
  /** How many attempts it had when it had ended and a retry was accepted; null: none was. */
  attemptsAtRetry: number | null;
};

/** A time in which something was killed, stopped or cut off; `to` is Infinity until it is over. */
export type Disturbance = {
  kind: string;
  from: number;
  to: number;
  /** Whether work under way could end first: then every request must have a record. */
  isGraceful: boolean;
};
export type Shift = { at: number; hours: number };
/** `cap` 0: none. */
export type CapInForce = { cap: number; from: number; to: number };

export type Model = {
  webhooks: Webhook[];
  events: Map<string, Event>;
  actions: Map<string, Actions>;
  recoveryIds: Set<string>;
  /** Bulk actions that were accepted and are not known to have ended. */
  operationIds: Set<string>;
  disturbances: Disturbance[];
  shifts: Shift[];
  caps: CapInForce[];
  /** The cap of the setting, and the account's own; null: it has none. */
  capSetting: number;
  accountCap: number | null;
  /** The faults that were found. */
  faults: string[];
};

export function newModel(cap: number): Model {
  return {
    webhooks: [],
    events: new Map(),
    actions: new Map(),
    recoveryIds: new Set(),
    operationIds: new Set(),
    disturbances: [],
    shifts: [],
    caps: [{ cap, from: 0, to: Infinity }],
    capSetting: cap,
    accountCap: null,
    faults: [],
  };
}

export function actionsOf({ actions }: Pick<Model, 'actions'>, deliveryId: string): Actions {
  const known = actions.get(deliveryId) ?? {
    retries: 0,
    reschedules: 0,
    isFar: false,
    isCanceled: false,
    attemptsAtRetry: null,
  };
  actions.set(deliveryId, known);
  return known;
}

/** The moment as the database would write it now, after all hours that have passed since. */
export function shifted(at: number, shifts: readonly Shift[]): number {
  const hours = shifts.filter((shift) => shift.at > at).reduce((sum, shift) => sum + shift.hours, 0);
  return at - hours * 3_600_000;
}

/** The same moment by the machine's clock at which it comes: hours that passed after `since` bring it nearer. */
export function comesAt(moment: number, shifts: readonly Shift[], since: number): number {
  let at = moment;
  for (const shift of shifts.toSorted((a, b) => a.at - b.at))
    if (shift.at > since && shift.at < at) at = Math.max(shift.at, at - shift.hours * 3_600_000);
  return at;
}

export function isDisturbed(disturbances: readonly Disturbance[], from: number, to: number): boolean {
  return disturbances.some((each) => each.from <= to && each.to >= from);
}

/** Whether an event must, may or must not have a delivery for a webhook; `maybe` where calls ran side by side. */
export function subscription(webhook: Webhook, event: Event): 'yes' | 'no' | 'maybe' {
  // The call is refused where it may not have one of them.
  if (event.webhookIds) return webhook.id !== null && event.webhookIds.includes(webhook.id) ? 'yes' : 'no';
  if (!filtersThatMatch(event.type).some((filter) => webhook.filters.includes(filter))) return 'no';
  const acceptedBy = event.acceptedAt ?? Infinity;
  const matches = possibleValues(webhook.policies, event.sentAt, acceptedBy).map((policy) =>
    letsThrough(policy, event.labels),
  );
  if (!matches.includes(true)) return 'no';
  if (webhook.createSentAt > acceptedBy) return 'no';
  if (webhook.deletedAt !== null && webhook.deletedAt < event.sentAt) return 'no';
  const isThere = webhook.createdAt !== null && webhook.createdAt < event.sentAt;
  const isStillThere = webhook.deleteSentAt === null || webhook.deleteSentAt > acceptedBy;
  return isThere && isStillThere && !matches.includes(false) ? 'yes' : 'maybe';
}
