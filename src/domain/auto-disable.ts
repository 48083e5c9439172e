/** Strictly more than this share of failed deliveries disables a webhook. */
export const disableAbovePercent = 80;
/** At this share and above, the webhook's owner is warned. */
export const warnFromPercent = 50;

/** A webhook that probes ends no deliveries while it is down: so long, and it is disabled. */
export const disableDownAfterHours = 24;

/**
 * Judges a webhook by its ended deliveries of the last 24 hours.
 *
 * @param minEnded with fewer ended deliveries it is `ok`
 * @example judgeWebhook({ delivered: 1, failed: 9 }, 10) // 'disable'
 */
export function judgeWebhook(
  { delivered, failed }: { delivered: number; failed: number },
  minEnded: number,
): 'ok' | 'warn' | 'disable' {
  const ended = delivered + failed;
  if (ended < minEnded || ended === 0) return 'ok';
  if (failed * 100 > disableAbovePercent * ended) return 'disable';
  return failed * 100 >= warnFromPercent * ended ? 'warn' : 'ok';
}
