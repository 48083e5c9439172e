import type { OperationalType } from '../contracts/event-types.ts';
import { membersOf } from './json-text.ts';
import { brief, textOfValue } from './brief.ts';

type Options = { isTest?: boolean | undefined; publicUrl?: string | null };
export type EmailText = { subject: string; text: string; html: string };

const titles: Record<OperationalType, string> = {
  'webhook.disabled': 'Webhook disabled',
  'webhook.warning': 'Webhook failing',
  'webhook.down': 'Webhook down',
  'webhook.recovered': 'Webhook recovered',
  'webhook.secret_due': 'Signing secret due for rotation',
  'delivery.failed': 'Delivery failed',
};
const sentences: Record<OperationalType, string> = {
  'webhook.disabled': 'A webhook was disabled automatically. Its deliveries are held until you activate it.',
  'webhook.warning': 'At least half of the deliveries to a webhook failed in the last 24 hours.',
  'webhook.down': 'No attempt of a webhook has succeeded for 5 minutes.',
  'webhook.recovered': 'A webhook that was down has delivered again.',
  'webhook.secret_due': 'The signing secret of a webhook is more than 90 days old. Rotate it.',
  'delivery.failed': 'A delivery failed and will not be retried.',
};

const known = <Value>(of: Record<OperationalType, Value>, type: string): Value | undefined =>
  Object.hasOwn(of, type) ? of[type as OperationalType] : undefined;

/**
 * An operational event as an e-mail: subject, plain text and the same as HTML. It depends on nothing but the event and the
 * options.
 *
 * @param body the result of `eventText`
 * @param isTest a test event: the subject names it as one; its ids are examples, and not linked
 * @param publicUrl origin of the dashboard, to whose pages it links; null: it has no links
 * @example emailOf('{"id":"evt_1","event":"webhook.down","timestamp":"…","data":{"webhook_id":"wh_1"}}').subject // 'Webhook down: wh_1'
 */
export function emailOf(body: string, { isTest = false, publicUrl = null }: Options = {}): EmailText {
  const event = JSON.parse(body) as { id: string; event: string; timestamp: string };
  const { data = '{}' } = Object.fromEntries(membersOf(body));
  const rows = membersOf(data)
    .slice(0, maxRows)
    .map(([name, value]) => [brief(name), brief(textOfValue(value))] as const);
  const about = new Map(rows);
  const webhookId = about.get('webhook_id');
  const isDigest = event.event === 'delivery.failed' && about.has('count');
  const title = isDigest
    ? `${about.get('count')} deliveries failed`
    : (known(titles, event.event) ?? brief(event.event));
  const subject = `${isTest ? '[Test] ' : ''}${title}${webhookId === undefined ? '' : `: ${webhookId}`}`;
  const sentence = isDigest
    ? 'More deliveries of a webhook failed within a minute than are reported one by one.'
    : known(sentences, event.event);
  const intro = [
    ...(isTest ? ['This is a test. The values below are examples.'] : []),
    ...(sentence === undefined ? [] : [sentence]),
  ];
  const foot = `${event.event}, ${event.timestamp}, ${event.id}`;
  const links = publicUrl === null || isTest ? [] : linksTo(publicUrl, about);
  const lines = rows.map(([name, value]) => `${name}: ${value}`);
  return {
    subject,
    text: [...intro, '', ...lines, '', ...links.flatMap((url) => [url, '']), foot, ''].join('\n'),
    html: [
      '<!doctype html><html><head><meta charset="utf-8"><title>',
      escapeHtml(subject),
      '</title></head><body style="font-family: sans-serif">',
      ...intro.map((line) => `<p>${escapeHtml(line)}</p>`),
      '<table cellpadding="4">',
      ...rows.map(
        ([name, value]) => `<tr><th align="left">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
      ),
      '</table>',
      ...links.map((url) => `<p><a href="${escapeHtml(url)}">${escapeHtml(url)}</a></p>`),
      `<p><small>${escapeHtml(foot)}</small></p></body></html>`,
    ].join(''),
  };
}

const maxRows = 20;

/** The pages of the delivery and the webhook that it is about. */
function linksTo(publicUrl: string, about: ReadonlyMap<string, string>): string[] {
  const pages = [
    ['/log/', about.get('delivery_id')],
    ['/webhooks/', about.get('webhook_id')],
  ] as const;
  return pages.flatMap(([path, id]) =>
    id !== undefined && isId.test(id) ? [`${publicUrl}${path}${id}`] : [],
  );
}

const isId = /^(dlv|wh)_[a-z0-9]{26}$/;

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => entities[char] ?? char);
