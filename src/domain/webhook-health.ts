import { slowMs } from './turns.ts';

/** What the last requests to a webhook came to, recent ones counting most. */
export type WebhookHealth = { averageMs: number; failedShare: number };

/**
 * Whether a webhook's deliveries may share a workflow with others for their first attempt. One that is known to hang
 * would make the others' workflow wait, and what fails needs a workflow of its own anyway.
 *
 * @example mayShare({ averageMs: 40, failedShare: 0.1 }) // true
 */
export function mayShare({ averageMs, failedShare }: WebhookHealth): boolean {
  return averageMs <= slowMs && failedShare < 0.5;
}

/**
 * The share of failures after another request. Two in a row are enough to know, one alone is not.
 *
 * @example nextFailedShare(0, true) // 0.3
 */
export function nextFailedShare(failedShare: number, isFailed: boolean): number {
  return failedShare * 0.7 + (isFailed ? 0.3 : 0);
}
