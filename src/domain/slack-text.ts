import { membersOf } from './json-text.ts';

/**
 * An event as a Slack-compatible message: the type, then a line for each field of its data.
 *
 * @example slackText('{"id":"evt_1","event":"order.paid","timestamp":"…","data":{"n":1.50}}') // '{"text":"*order.paid* at …\\n• n: 1.50"}'
 */
export function slackText(body: string): string {
  const event = JSON.parse(body) as { event: string; timestamp: string };
  const { data = '{}' } = Object.fromEntries(membersOf(body));
  const lines = membersOf(data).map(([name, value]) => `• ${brief(name)}: ${brief(textOf(value))}`);
  const text = [`*${event.event}* at ${event.timestamp}`, ...lines.slice(0, maxLines)].join('\n');
  return JSON.stringify({ text });
}

const maxLines = 20;
const maxLength = 300;

/** A string is shown as its text, any other value as its producer wrote it, with all digits. */
const textOf = (value: string): string => (value.startsWith('"') ? (JSON.parse(value) as string) : value);

/** Characters that end a line in Slack or in programs that show its messages. */
const lineBreaks = /[\n\v\f\r\u0085\u2028\u2029]+/g;

/**
 * Short, and in one line, so that no value looks like another field. The three characters with a meaning in Slack are escaped,
 * so that data cannot mention people or make links. Half a surrogate pair, which some JSON parsers refuse, is replaced.
 */
function brief(text: string): string {
  // A pair across the end is left out.
  const cut = text.length > maxLength ? `${text.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '')}…` : text;
  return cut
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .replace(lineBreaks, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}
