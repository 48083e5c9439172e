import type { WebhookFormat } from '../contracts/webhook-format.ts';
import { membersOf } from './json-text.ts';

/** An event as a Slack-compatible message: the type, then a line for each field of its data. */
function slackText(body: string): string {
  const event = JSON.parse(body) as { event: string; timestamp: string };
  const { data = '{}' } = Object.fromEntries(membersOf(body));
  const lines = membersOf(data).map(([name, value]) => `• ${name}: ${brief(value)}`);
  const text = [`*${event.event}* at ${event.timestamp}`, ...lines.slice(0, maxLines)].join('\n');
  return JSON.stringify({ text });
}

const maxLines = 20;
const maxLength = 300;

/** Short, and without the three characters that Slack gives a meaning: data must not mention people or make links. */
function brief(value: string): string {
  // All but a string is shown as its producer wrote it, with all digits.
  const text = value.startsWith('"') ? (JSON.parse(value) as string) : value;
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return cut.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** What a webhook of that format is sent: the event's own text, or the message made of it. The dashboard shows it, too. */
export function textFor(format: WebhookFormat, body: string): string {
  return format === 'fltr' ? body : slackText(body);
}
