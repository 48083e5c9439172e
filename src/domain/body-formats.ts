import type { WebhookFormat } from '../contracts/webhook-format.ts';
import { emailOf } from './email-text.ts';
import { slackText } from './slack-text.ts';

type Event = { id: string; event: string; timestamp: string };

/**
 * The text that is stored for an event, and sent in the format `fltr`: `{"id","event","timestamp","data"}`, in this order.
 *
 * @param data JSON text, used as it is
 * @example eventText({ id: 'evt_1', event: 'order.paid', timestamp: '2024-01-10T12:05:00Z' }, '{"n":1.50}')
 */
export function eventText({ id, event, timestamp }: Event, data: string): string {
  return withData({ id, event, timestamp }, data);
}

const beforeData = ',"data":';

/** An object that ends with `data`, whose text is copied: written again, numbers would lose digits. */
function withData(members: Record<string, string>, data: string): string {
  return `${JSON.stringify(members).slice(0, -1)}${beforeData}${data}}`;
}

/**
 * The parts of a text that `eventText` made. The first `,"data":` is the member's: within a string, no quote stands without
 * a backslash.
 */
function partsOf(text: string): { event: Event; data: string } {
  const event = JSON.parse(`${text.slice(0, text.indexOf(beforeData))}}`) as Event;
  return { event, data: dataTextOf(text) };
}

/** The JSON text of the data in a text that `eventText` made. */
export const dataTextOf = (text: string): string =>
  text.slice(text.indexOf(beforeData) + beforeData.length, -1);

/**
 * An event's text as a webhook of that format gets it. It depends on nothing but the event, so that it is the same in every
 * attempt. The dashboard shows it, too.
 *
 * @param text the result of `eventText`
 * @param accountId the account of the event; with its id, it identifies a CloudEvent
 * @param publicUrl origin of the dashboard, to which an e-mail links; null: it has no links
 * @example textFor('data', '{"id":"evt_1",…,"data":{"n":1.50}}', 'acc_1') // '{"n":1.50}'
 */
export function textFor(
  format: WebhookFormat,
  text: string,
  accountId: string,
  publicUrl: string | null = null,
): string {
  switch (format) {
    case 'fltr':
      return text;
    case 'slack':
      return slackText(text);
    case 'email':
      return emailOf(text, { publicUrl }).text;
    case 'data':
      return dataTextOf(text);
    case 'standard': {
      const { event, data } = partsOf(text);
      const { id, event: type, timestamp } = event;
      return withData({ id, type, timestamp }, data);
    }
    case 'cloudevents': {
      const { event, data } = partsOf(text);
      return withData(
        {
          specversion: '1.0',
          id: event.id,
          source: `/accounts/${accountId}`,
          type: event.event,
          time: event.timestamp,
          datacontenttype: 'application/json',
        },
        data,
      );
    }
  }
}

/**
 * @example contentTypeOf('cloudevents') // 'application/cloudevents+json'
 */
export function contentTypeOf(format: WebhookFormat): string {
  if (format === 'email') return 'text/plain; charset=utf-8';
  return format === 'cloudevents' ? 'application/cloudevents+json' : 'application/json';
}
