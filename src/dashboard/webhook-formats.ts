import { requestFormats, type WebhookFormat } from '../contracts/webhook-format.ts';

const texts: Record<WebhookFormat, { label: string; hint: string }> = {
  fltr: { label: 'Event', hint: 'JSON: id, event, timestamp, data.' },
  standard: {
    label: 'Standard Webhooks',
    hint: 'JSON: id, type, timestamp, data, as in Standard Webhooks.',
  },
  data: { label: 'Data alone', hint: 'The data as it was published. Headers have the id and the type.' },
  cloudevents: { label: 'CloudEvents', hint: 'CloudEvents 1.0 as JSON, structured.' },
  email: { label: 'E-mail', hint: 'Each event as an e-mail.' },
  slack: { label: 'Slack', hint: 'Each event as {"text": …}, for Slack and compatible services.' },
};

/** The formats as choices of a form. */
export const formatChoices = requestFormats.map((value) => ({ value, ...texts[value] }));

/** @example formatText('slack') // 'Slack. Each event as {"text": …}, …' */
export const formatText = (format: WebhookFormat): string => `${texts[format].label}. ${texts[format].hint}`;
