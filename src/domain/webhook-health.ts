import { slowMs } from './turns.ts';

/** What the last requests to a webhook came to, recent ones counting most, and for how long the oldest one under way has been. */
export type WebhookHealth = { averageMs: number; failedShare: number; oldestMs: number };

/**
 * Whether a webhook's deliveries may share a workflow with others for their first attempt. One that is known to hang
 * would make the others' workflow wait, and what fails needs a workflow of its own anyway.
 *
 * @example mayShare({ averageMs: 40, failedShare: 0.1, oldestMs: 0 }) // true
 */
export function mayShare({ averageMs, failedShare, oldestMs }: WebhookHealth): boolean {
  return averageMs <= slowMs && oldestMs <= slowMs && failedShare < 0.5;
}

/**
 * The share of failures after another request. Two in a row are enough to know, one alone is not.
 *
 * @example nextFailedShare(0, true) // 0.3
 */
export function nextFailedShare(failedShare: number, isFailed: boolean): number {
  return failedShare * 0.7 + (isFailed ? 0.3 : 0);
}
