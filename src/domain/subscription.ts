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
  const filters = [eventType, ...familiesOf(eventType)];
  return isOperational(eventType) ? filters : [...filters, '*'];
}

/**
 * The families that a type belongs to, the smallest one first.
 *
 * @example familiesOf('order.item.added') // ['order.item.*', 'order.*']
 */
export function familiesOf(eventType: string): string[] {
  const families: string[] = [];
  for (let end = eventType.lastIndexOf('.'); end > 0; end = eventType.lastIndexOf('.', end - 1))
    families.push(`${eventType.slice(0, end)}.*`);
  return families;
}

/**
 * Whether a webhook is an alert: it gets operational events only.
 *
 * @example isAlert(['webhook.down', 'delivery.*']) // true
 */
export const isAlert = (events: readonly string[]): boolean => events.every(isOperational);
