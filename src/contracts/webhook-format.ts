import { z } from 'zod';

/** How an event is written in the body of a request. */
export const requestFormats = ['fltr', 'standard', 'data', 'cloudevents', 'slack'] as const;
export type RequestFormat = (typeof requestFormats)[number];

/** How an event is written for a webhook. */
export const webhookFormats = [...requestFormats, 'email'] as const;
export type WebhookFormat = (typeof webhookFormats)[number];

export const webhookFormatSchema = z.enum(webhookFormats).meta({
  description:
    '`fltr`: `{"id","event","timestamp","data"}`. `standard`: the same with `type` in place of `event`. `data`: the data alone. `cloudevents`: CloudEvents 1.0, structured. `slack`: `{"text": …}`, for a Slack-compatible target. `email`: an e-mail, for a `mailto:` URL.',
});
