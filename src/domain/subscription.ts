/**
 * Every entry of a webhook's `events` that lets a type through.
 *
 * @example filtersThatMatch('document.processed') // ['document.processed', 'document.*', '*']
 */
export function filtersThatMatch(eventType: string): string[] {
  const family = eventType.slice(0, eventType.indexOf('.'));
  return [eventType, `${family}.*`, '*'];
}
