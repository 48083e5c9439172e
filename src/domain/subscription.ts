// The families of operational events: a webhook gets them only if it names the type or the family.
export const operationalFamilies = ['webhook', 'delivery'];

export function isOperational(eventType: string): boolean {
  return operationalFamilies.includes(eventType.slice(0, eventType.indexOf('.')));
}

/**
 * Every entry of a webhook's `events` that matches a type.
 *
 * @example filtersThatMatch('document.processed') // ['document.processed', 'document.*', '*']
 */
export function filtersThatMatch(eventType: string): string[] {
  const family = eventType.slice(0, eventType.indexOf('.'));
  const filters = [eventType, `${family}.*`];
  return isOperational(eventType) ? filters : [...filters, '*'];
}
