import type { WebhookFormat } from '../contracts/webhook-format.ts';
import { membersOf } from './json-text.ts';

/** An event as a Slack-compatible message: the type, then a line for each field of its data. */
function slackText(body: string): string {
  const event = JSON.parse(body) as { event: string; timestamp: string };
  const { data = '{}' } = Object.fromEntries(membersOf(body));
  const lines = membersOf(data).map(([name, value]) => `• ${brief(name)}: ${brief(textOf(value))}`);
  const text = [`*${event.event}* at ${event.timestamp}`, ...lines.slice(0, maxLines)].join('\n');
  return JSON.stringify({ text });
}

const maxLines = 20;
const maxLength = 300;

/** All but a string is shown as its producer wrote it, with all digits. */
const textOf = (value: string): string => (value.startsWith('"') ? (JSON.parse(value) as string) : value);

/** What ends a line, to Slack or to the programs that show its messages. */
const lineBreaks = /[\n\v\f\r\u0085\u2028\u2029]+/g;

/**
 * Short, in one line, so that no value looks like another field; and without the three characters that Slack gives a meaning:
 * data must not mention people or make links. Half of a surrogate pair, which some readers of JSON refuse, is replaced.
 */
function brief(text: string): string {
  // A pair that stands across the end is left out whole.
  const cut = text.length > maxLength ? `${text.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '')}…` : text;
  return cut
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .replace(lineBreaks, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

/** What a webhook of that format is sent: the event's own text, or the message made of it. The dashboard shows it, too. */
export function textFor(format: WebhookFormat, body: string): string {
  return format === 'fltr' ? body : slackText(body);
}
