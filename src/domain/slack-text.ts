/** An event as a Slack-compatible message: the type, then a line for each field of its data. */
function slackBody(event: { event: string; timestamp: string; data: Record<string, unknown> }): Buffer {
  const lines = Object.entries(event.data).map(([name, value]) => `• ${name}: ${brief(value)}`);
  const text = [`*${event.event}* at ${event.timestamp}`, ...lines.slice(0, maxLines)].join('\n');
  return Buffer.from(JSON.stringify({ text }));
}

const maxLines = 20;
const maxLength = 300;

/** Short, and without the three characters that Slack gives a meaning: data must not mention people or make links. */
function brief(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return cut.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The bytes for a webhook of that format: the event's own, or the message made of them. */
export function bodyFor(format: 'fltr' | 'slack', body: Buffer): Buffer {
  if (format === 'fltr') return body;
  return slackBody(JSON.parse(body.toString()) as Parameters<typeof slackBody>[0]);
}
