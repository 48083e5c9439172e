/**
 * An attempt that was not made, because this process had no capacity for it in time: nothing was sent, and nothing is known
 * of the receiver. Come back after `seconds`.
 *
 * @example
 * if (error instanceof SenderBusy) return { next: 'busy', seconds: error.seconds };
 */
export class SenderBusy extends Error {
  readonly seconds = 5;

  constructor() {
    super('No capacity for this attempt at the moment.');
  }
}
