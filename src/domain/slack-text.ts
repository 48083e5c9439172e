import { brief, textOfValue } from './brief.ts';
import { membersOf } from './json-text.ts';

/**
 * An event as a Slack-compatible message: the type, then a line for each field of its data.
 *
 * @example slackText('{"id":"evt_1","event":"order.paid","timestamp":"…","data":{"n":1.50}}') // '{"text":"*order.paid* at …\\n• n: 1.50"}'
 */
export function slackText(body: string): string {
  const event = JSON.parse(body) as { event: string; timestamp: string };
  const { data = '{}' } = Object.fromEntries(membersOf(body));
  const lines = membersOf(data).map(
    ([name, value]) => `• ${forSlack(name)}: ${forSlack(textOfValue(value))}`,
  );
  const text = [`*${event.event}* at ${event.timestamp}`, ...lines.slice(0, maxLines)].join('\n');
  return JSON.stringify({ text });
}

const maxLines = 20;

/** The three characters with a meaning in Slack are escaped, so that data cannot mention people or make links. */
const forSlack = (text: string): string =>
  brief(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
