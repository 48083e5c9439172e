import { membersOf } from './json-text.ts';

/** An event as a Slack-compatible message: the type, then a line for each field of its data. */
function slackBody(body: string): Buffer {
  const event = JSON.parse(body) as { event: string; timestamp: string };
  const { data = '{}' } = Object.fromEntries(membersOf(body));
  const lines = membersOf(data).map(([name, value]) => `• ${name}: ${brief(value)}`);
  const text = [`*${event.event}* at ${event.timestamp}`, ...lines.slice(0, maxLines)].join('\n');
  return Buffer.from(JSON.stringify({ text }));
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

/** The bytes for a webhook of that format: the event's own, or the message made of them. */
export function bodyFor(format: 'fltr' | 'slack', body: Buffer): Buffer {
  return format === 'fltr' ? body : slackBody(body.toString());
}
