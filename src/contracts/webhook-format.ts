import { z } from 'zod';

/** How an event is written for a webhook. */
export const webhookFormats = ['fltr', 'standard', 'data', 'cloudevents', 'slack'] as const;
export type WebhookFormat = (typeof webhookFormats)[number];

export const webhookFormatSchema = z.enum(webhookFormats).meta({
  description:
    '`fltr`: `{"id","event","timestamp","data"}`. `standard`: the same with `type` in place of `event`. `data`: the data alone. `cloudevents`: CloudEvents 1.0, structured. `slack`: `{"text": …}`, for a Slack-compatible target.',
});
