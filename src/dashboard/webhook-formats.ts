import type { WebhookFormat } from '../contracts/webhook-format.ts';

const texts: Record<WebhookFormat, { label: string; hint: string }> = {
  fltr: { label: 'Event', hint: 'JSON: id, event, timestamp, data.' },
  standard: {
    label: 'Standard Webhooks',
    hint: 'JSON: id, type, timestamp, data, as in Standard Webhooks.',
  },
  data: { label: 'Data alone', hint: 'The data as it was published. Headers have the id and the type.' },
  cloudevents: { label: 'CloudEvents', hint: 'CloudEvents 1.0 as JSON, structured.' },
  slack: { label: 'Slack', hint: 'Each event as {"text": …}, for Slack and compatible services.' },
};

/** The formats as choices of a form. */
export const formatChoices = Object.entries(texts).map(([value, text]) => ({
  value: value as WebhookFormat,
  ...text,
}));

/** @example formatText('slack') // 'Slack. Each event as {"text": …}, …' */
export const formatText = (format: WebhookFormat): string => `${texts[format].label}. ${texts[format].hint}`;
