import type { Startable } from './deliveries-table.ts';

/** The owners of deliveries that will be inserted, and the capacity to start them. */
export type Reservation = {
  /** Of the deliveries, by id; all others get theirs after the commit. `isQueued`: the reconciler starts it. */
  owners: ReadonlyMap<string, { id: string; isQueued: boolean }>;
  /** After the commit, with the deliveries that were inserted. */
  committed(inserted: readonly Startable[]): void;
  /** Nothing was committed. */
  release(): void;
};

/** Called before deliveries are inserted, so that their rows name their owners: it saves a write. */
export type ReserveOwners = (deliveries: readonly Startable[]) => Reservation;
