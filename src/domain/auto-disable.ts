/** Strictly more than this share of failed deliveries disables a webhook. */
export const disableAbovePercent = 80;
/** From this share on it is warned. */
export const warnFromPercent = 50;

/**
 * What a webhook's ended deliveries of the last 24 hours say of it.
 *
 * @param minEnded below so many ended deliveries, nothing is said
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
